"""A Bitcoin network of our own: traffic, mempool, blocks and a source's bad days, offline."""
