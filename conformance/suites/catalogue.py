"""Which suites are there, and in which order do they run?"""

from conformance.suites import Suite
from conformance.suites.dialogues import Dialogues
from conformance.suites.filters import Filters
from conformance.suites.fuzz import Fuzz
from conformance.suites.patch import Patches
from conformance.suites.rfc import Rfc
from conformance.suites.sanity import Sanity
from conformance.suites.tester import Tester

SUITES: tuple[Suite, ...] = (
    Tester(),
    Sanity(),
    Rfc(),
    Filters(),
    Patches(),
    Dialogues(),
    Fuzz(),
)
