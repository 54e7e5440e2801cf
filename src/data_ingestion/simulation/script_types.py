"""What a script of each common type weighs, and how it looks in the API's JSON.

Sizes follow the serialisation of BIP 141 and BIP 144; the mix of types is the behaviours' matter.
A signature takes 71 or 72 bytes (low-R wallets grind to 71), hence the one byte of play.
"""

from dataclasses import dataclass

from data_ingestion.simulation.addresses import base58check, segwit_address


@dataclass(frozen=True)
class ScriptType:
    """One script type; every length in bytes.

    `input_base` counts outpoint, sequence and scriptSig; `witness` one input's witness.
    """

    name: str
    input_base: int
    witness: int
    output: int
    prefix: str
    payload: int
    suffix: str = ""

    @property
    def signature_script(self) -> int:
        """Length of the scriptSig: what is left after outpoint, length and sequence."""
        return self.input_base - 41

    def script(self, payload: bytes) -> str:
        """The output script that pays to this hash or key, as hex."""
        return self.prefix + payload.hex() + self.suffix

    def address(self, payload: bytes) -> str:
        """The mainnet address of this hash or key."""
        if self.name == "p2pkh":
            return base58check(b"\x00" + payload)
        if self.name == "p2sh":
            return base58check(b"\x05" + payload)
        return segwit_address(1 if self.name == "p2tr" else 0, payload)


SCRIPT_TYPES = (
    ScriptType("p2wpkh", 41, 107, 31, "0014", 20),
    ScriptType("p2tr", 41, 66, 43, "5120", 32),
    ScriptType("p2sh", 64, 107, 32, "a914", 20, "87"),  # spent as nested P2WPKH
    ScriptType("p2pkh", 147, 0, 34, "76a914", 20, "88ac"),
    ScriptType("p2wsh", 41, 253, 43, "0020", 32),  # spent as 2-of-3
)
"""The types of generated traffic; a batch names them by their place here."""

TYPE_NAMES = tuple(script.name for script in SCRIPT_TYPES)

OVERHEAD = 10
"""Version, two counts and lock time of a transaction."""

SEGWIT_MARKER = 2
"""Marker and flag: two bytes of witness weight in any transaction with a witness (BIP 144)."""
