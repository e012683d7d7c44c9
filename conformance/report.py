"""What does a run leave to be read: by a person, by a CI server, by a script?"""

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from conformance.result import Exchange, Outcome, Result
from conformance.run import Ran

# More of a body than this says nothing that its beginning does not.
_LONGEST = 20_000
# What XML 1.0 cannot hold.
_NOT_XML = re.compile("[^\t\n\r\u0020-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def write(ran: Ran, folder: Path) -> list[Path]:
    """Write the reports into a folder, which is made. Returns their files."""
    folder.mkdir(parents=True, exist_ok=True)
    writers: Mapping[str, Callable[[Ran], str]] = {
        "junit.xml": as_junit,
        "report.json": as_json,
        "report.html": as_html,
    }
    for name, written in writers.items():
        # What no encoding can hold, half of a surrogate pair, is written as a question mark.
        (folder / name).write_bytes(written(ran).encode(errors="replace"))
    return [folder / name for name in writers]


def as_json(ran: Ran) -> str:
    """The whole run. Outcomes and their order are those of `Ran`."""
    told = {
        "url": ran.url,
        "run": ran.word,
        "started": ran.started.isoformat(timespec="seconds"),
        "seconds": round(ran.seconds, 3),
        "requests": ran.requests,
        "stopped": ran.stopped,
        "failed": ran.failed,
        "suites": [
            {"name": name, "about": about, "counts": _counted(ran, name)}
            for name, about in ran.suites.items()
        ],
        "results": [_as_dict(result) for result in ran.results],
        "left": list(ran.left),
    }
    return json.dumps(told, indent=2, ensure_ascii=True)


def as_junit(ran: Ran) -> str:
    """JUnit XML, as CI servers read it. A warning is a passed case with a remark."""
    root = ElementTree.Element("testsuites", {"name": _xml(ran.url), **_totals(ran, None)})
    for suite in ran.suites:
        results = ran.of(suite)
        told = {
            "name": suite,
            "timestamp": ran.started.replace(tzinfo=None).isoformat(timespec="seconds"),
            "time": f"{sum(one.seconds for one in results):.3f}",
        }
        element = ElementTree.SubElement(root, "testsuite", {**told, **_totals(ran, suite)})
        for result in results:
            _add_case(element, result)
    return ElementTree.tostring(root, encoding="unicode", xml_declaration=True)


def as_html(ran: Ran) -> str:
    """One page that needs nothing else."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters["pretty"] = _pretty
    page = environment.get_template("report.html")
    return page.render(ran=ran, outcomes=list(Outcome), verdict=verdict(ran))


def verdict(ran: Ran) -> str:
    """What the run came to, in a line."""
    counts = ran.counts()
    told = ", ".join(f"{counts[outcome]} {outcome}" for outcome in Outcome if counts[outcome])
    ended = "Stopped before its end: " if ran.stopped else ""
    return f"{ended}{told or 'nothing was checked'}"


def _counted(ran: Ran, suite: str) -> dict[str, int]:
    counts = ran.counts(suite)
    return {outcome.value: counts[outcome] for outcome in Outcome}


def _as_dict(result: Result) -> dict[str, Any]:
    told = asdict(result)
    for exchange in told["exchanges"]:
        exchange["sent"] = _shortened(exchange["sent"])
        exchange["received"] = _shortened(exchange["received"])
    return told


def _totals(ran: Ran, suite: str | None) -> dict[str, str]:
    counts = ran.counts(suite)
    return {
        "tests": str(counts.total()),
        "failures": str(counts[Outcome.failed]),
        "errors": "0",
        "skipped": str(counts[Outcome.skipped]),
    }


def _add_case(suite: ElementTree.Element, result: Result) -> None:
    case = ElementTree.SubElement(
        suite,
        "testcase",
        classname=_xml(f"{result.suite}.{result.clause}"),
        name=_xml(result.name),
        time=f"{result.seconds:.3f}",
    )
    told = _xml("\n\n".join([result.reason, *map(_as_text, result.exchanges)]))
    match result.outcome:
        case Outcome.failed:
            failure = ElementTree.SubElement(case, "failure", message=_xml(result.reason))
            failure.text = told
        case Outcome.skipped:
            ElementTree.SubElement(case, "skipped", message=_xml(result.reason))
        case Outcome.warned:
            ElementTree.SubElement(case, "system-out").text = told


def _as_text(exchange: Exchange) -> str:
    answered = f"{exchange.status} after {exchange.seconds:.3f} s"
    return "\n".join(
        [
            f"> {exchange.method} {exchange.url}",
            _shortened(exchange.sent),
            f"< {answered}",
            *(f"< {name}: {value}" for name, value in exchange.headers.items()),
            _shortened(exchange.received),
        ]
    )


def _xml(text: str) -> str:
    return _NOT_XML.sub("\ufffd", text)


def _pretty(body: str) -> str:
    """A body as a person reads it: JSON in lines, other things as they are, nothing endless."""
    try:
        text = json.dumps(json.loads(body), indent=2, ensure_ascii=False)
    except (ValueError, RecursionError):
        text = body
    return _shortened(text)


def _shortened(text: str) -> str:
    more = len(text) - _LONGEST
    return text if more <= 0 else f"{text[:_LONGEST]}… ({more} more characters)"
