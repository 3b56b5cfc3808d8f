"""Every bound of an expression, each with the reason for its value."""

from __future__ import annotations

from typing import Final

# Characters of one expression. Kubernetes' longest rules are far below; 4,096 tokens parse in a few milliseconds.
MAX_TEXT: Final = 4096

# Nesting of one expression. CEL asks for 12, Google's C++ parser stops at 32; the parser needs six Python frames for a
# level of brackets, so 64 levels stay well below the interpreter's 1,000 frames.
MAX_DEPTH: Final = 64

# Steps of one evaluation, one step being roughly one operation of a loop's body. Kubernetes' limit for one expression;
# at most about 0.5 s of a core (measured over tests/expr/test_budget.py; most shapes stop by 0.25 s), and enough to look
# at every number of a 1 MiB body once.
STEP_BUDGET: Final = 1_000_000

# Characters or elements that C code compares or searches for the price of one step. Searching in the worst case costs
# about 5 ns a character, a step about 100 ns.
BULK: Final = 16

# Characters or elements that `+` copies for the price of one step. This is about memory: an evaluation can make texts
# of 4 million characters in all, and lists of 4 million elements.
COPIED: Final = 4

# Bits of an integer that arithmetic makes. Python refuses to write an integer of more than 4,300 digits as text, and
# JSON parsers refuse to read one; 14,280 bits are the most that always fit.
MAX_INT_BITS: Final = 14_280

# Digits of a text that int() and double() read: the same bound, seen from the other side.
MAX_NUMBER_TEXT: Final = 4300

# Bytes RE2 may spend on one pattern and its automaton: half of its own default, as each constant pattern lives as long
# as its graph; a quarter would already refuse a hundred Unicode letters.
REGEX_MEMORY: Final = 4 << 20

# Values (scalars, lists, maps) of one template. YAML aliases can name one list many times over; without a bound a few
# lines make billions of values.
MAX_TEMPLATE_VALUES: Final = 10_000
