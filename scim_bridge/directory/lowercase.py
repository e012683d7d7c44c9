"""How does PostgreSQL fold text as `scim_bridge.directory.comparison` does? By Python's own rules.

PostgreSQL's `lower` depends on the database's language and on its version, so what the two
functions know of letters is taken from Python, character by character. They call nothing that is
not in pg_catalog: an index that is made with them can be restored from a backup.
"""

from collections.abc import Callable, Iterable, Iterator

# Where letters with a case are, and what is looked past beside them: the first two planes without
# surrogates, and the tags.
_CODES = (range(0x80, 0xD800), range(0xE000, 0x20000), range(0xE0000, 0xE0200))


def _characters() -> Iterator[str]:
    return (chr(code) for codes in _CODES for code in codes)


def functions() -> tuple[str, str]:
    """The statements that make `normalized` and `folded`, or make them anew."""
    return _function("normalized", _NORMALIZED), _function("folded", _folded())


def _function(name: str, body: str) -> str:
    return (
        f"CREATE OR REPLACE FUNCTION {name}(given text) RETURNS text "
        f"LANGUAGE plpgsql IMMUTABLE STRICT PARALLEL SAFE AS $${body}$$"
    )


_NORMALIZED = "BEGIN RETURN normalize(given, NFC); END"

_FOLDED = """
DECLARE
  text_in_nfc text;
BEGIN
  IF octet_length(given) = length(given) THEN
    RETURN lower(given COLLATE "C");
  END IF;
  text_in_nfc := normalize(given, NFC);
  IF strpos(text_in_nfc, 'Σ') > 0 THEN
    text_in_nfc := regexp_replace(text_in_nfc, '{final_sigma}', 'ς', 'g');
  END IF;
  {longer}
  RETURN normalize(
    translate(lower(text_in_nfc COLLATE "C"), '{uppers}', '{lowers}'), NFC
  );
END"""


def _folded() -> str:
    changing = [(upper, upper.lower()) for upper in _characters() if upper.lower() != upper]
    single = [(upper, lower) for upper, lower in changing if len(lower) == 1]
    longer = [(upper, lower) for upper, lower in changing if len(lower) > 1]
    return _FOLDED.format(
        final_sigma=_final_sigma(),
        longer="\n  ".join(
            f"text_in_nfc := replace(text_in_nfc, '{upper}', '{lower}');" for upper, lower in longer
        ),
        uppers="".join(upper for upper, _ in single),
        lowers="".join(lower for _, lower in single),
    )


def _final_sigma() -> str:
    """A sigma at the end of a word, which has a form of its own (Unicode, Final_Sigma)."""
    everything = [chr(code) for code in range(0x01, 0x80)] + list(_characters())
    skipped = _class(everything, _is_skipped)
    cased = _class(everything, lambda each: _is_cased(each) and not _is_skipped(each))
    return f"(?<={cased}{skipped}*)Σ(?!{skipped}*{cased})"


def _is_cased(character: str) -> bool:
    return f"{character}Σ".lower().endswith("ς")


def _is_skipped(character: str) -> bool:
    """Whether a character is looked past, whatever stands before it."""
    after_a_letter, alone = f"a{character}Σ", f" {character}Σ"
    return after_a_letter.lower().endswith("ς") and not alone.lower().endswith("ς")


def _class(characters: Iterable[str], belongs: Callable[[str], bool]) -> str:
    """The characters of a kind, as a regular expression names them."""
    codes = [ord(each) for each in characters if belongs(each)]
    return f"[{''.join(f'{_escaped(first)}-{_escaped(last)}' for first, last in _runs(codes))}]"


def _runs(codes: list[int]) -> Iterator[tuple[int, int]]:
    """The first and last of each run of numbers without a gap."""
    first = codes[0]
    for code, following in zip(codes, [*codes[1:], -1], strict=True):
        if following != code + 1:
            yield first, code
            first = following


def _escaped(code: int) -> str:
    return f"\\U{code:08x}"
