"""Text whose lines are broken for transport (format=flowed with DelSp, RFC 3676): within words, in scripts without spaces.

Flowed text without DelSp is left as it came: its lines end between words, and read well.
"""

import re
from collections.abc import Mapping

_QUOTED = re.compile(">*")


def is_broken_within_words(parameters: Mapping[str, str]) -> bool:
    return parameters.get("format", "").lower() == "flowed" and parameters.get("delsp", "").lower() == "yes"


def unflowed(text: str) -> str:
    """Paragraphs as lines. Quotes keep their marks; a line that flows into another depth of quoting ends there."""
    lines: list[list[str]] = []
    flows, depth = False, 0
    for line in text.splitlines():
        marks = len(_QUOTED.match(line).group())  # type: ignore[union-attr] # matches everywhere
        content = line[marks:].removeprefix(" ")
        if flows and marks == depth:
            lines[-1].append(content)
        else:
            lines.append([f"{'>' * marks} {content}" if marks else content])
        flows, depth = content.endswith(" ") and content != "-- ", marks
        if flows:
            lines[-1][-1] = lines[-1][-1].removesuffix(" ")
    ending = "\r\n" if text.endswith("\n") else ""
    return "\r\n".join("".join(parts) for parts in lines) + ending
