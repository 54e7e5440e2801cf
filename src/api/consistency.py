"""What does not add up in a transaction: a finding to tell, never a reason to refuse it."""

from core.transaction import Transaction


def warnings(transaction: Transaction) -> list[str]:
    """Say what is inconsistent in the numbers, in sentences; empty for a sound transaction."""
    found = []
    size, weight = transaction.size, transaction.weight
    if not size <= weight <= 4 * size:
        found.append(
            f"weight is {weight:,} but must lie between size ({size:,}) and 4 x size ({4 * size:,})"
        )
    fee, balance = transaction.fee, transaction.input_value - transaction.output_value
    if fee != balance and not _mints(transaction):
        found.append(f"fee is {fee:,} but input_value - output_value is {balance:,}")
    if transaction.inputs_count == 0:
        found.append("inputs_count is 0 but every transaction has an input")
    if transaction.outputs_count == 0:
        found.append("outputs_count is 0 but every transaction has an output")
    return found


def _mints(transaction: Transaction) -> bool:
    """A coinbase transaction spends nothing and pays no fee: nothing to balance."""
    return transaction.input_value == 0 and transaction.fee == 0
