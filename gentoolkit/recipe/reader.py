"""A strict YAML 1.2 reader that returns a tree of nodes with positions.

PyYAML's pure-Python parser produces the events (libyaml is not available everywhere and differs in corner cases). This
module interprets the scalars by the core schema (YAML 1.2.2, Sec. 10.3) and allows only one document with text keys,
without tags, duplicate keys or merge keys, and with limits on size, depth and aliases.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import yaml

from gentoolkit.recipe.faults import Fault, Path, Place, Scalar, shown

#: Limit in bytes of a file and in characters of a text.
MAX_SIZE = 2**20
MAX_DEPTH = 32
MAX_NODES = 10_000

_WORDS: dict[str, Scalar] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL"), None),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}
_INTEGER = re.compile(r"[-+]?[0-9]+")
_BASED = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?")
_NOT_FINITE = re.compile(r"[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
# Characters outside YAML 1.2.2, Sec. 5.1, and the three that end a line in YAML 1.1 only (Sec. 5.4).
_FORBIDDEN = re.compile("[^\t\n\r\x20-\x7e\xa0-\u2027\u202a-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


@dataclass(frozen=True)
class Node:
    """A value with its position.

    Attributes:
        place: Position of the value's start.
        value: A scalar, a tuple of nodes, or a mapping of nodes.
        keys: For a mapping, the position of each key.
        size: Number of values in the tree, including this one, with aliases expanded.
        height: Number of levels of the tree.
    """

    place: Place
    value: Scalar | tuple[Node, ...] | dict[str, Node]
    keys: dict[str, Place] = field(default_factory=dict)
    size: int = field(init=False)
    height: int = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "size", 1 + sum(child.size for child in self.children))
        object.__setattr__(self, "height", 1 + max((child.height for child in self.children), default=0))

    @property
    def children(self) -> tuple[Node, ...]:
        """Return the values of a sequence or mapping; empty for a scalar."""
        if isinstance(self.value, dict):
            return tuple(self.value.values())
        return self.value if isinstance(self.value, tuple) else ()

    def child(self, key: str) -> Node | None:
        """Return the value at a key or, in a sequence, at an index such as "0"; None if it does not exist."""
        if isinstance(self.value, dict):
            return self.value.get(key)
        return next((child for index, child in enumerate(self.children) if str(index) == key), None)

    def plain(self) -> Any:
        """Return the value as plain data, with sequences as tuples."""
        if isinstance(self.value, dict):
            return {key: child.plain() for key, child in self.value.items()}
        return tuple(child.plain() for child in self.value) if isinstance(self.value, tuple) else self.value


def scalar(text: str) -> Scalar:
    """Return the value of an unquoted scalar.

    Raises:
        ValueError: The number is infinite, NaN, or too large for a float.
    """
    if text in _WORDS:
        return _WORDS[text]
    if _NOT_FINITE.fullmatch(text):
        raise ValueError(f"{text} is not a finite number")
    based = _BASED.fullmatch(text)
    if not based and not _FLOAT.fullmatch(text):
        return text
    try:
        number = float(int(text, 0)) if based else float(text)
        if math.isinf(number):
            raise OverflowError
        whole = based or _INTEGER.fullmatch(text)
        return int(text, 0 if based else 10) if whole else number
    except (OverflowError, ValueError):  # int() limits the number of digits
        raise ValueError(f"the number {shown(text)} is too large") from None


def line_and_column(before: str) -> tuple[int, int]:
    """Return the line and column, counted from 0, right after the text `before`."""
    before = before.replace("\r\n", "\n").replace("\r", "\n")
    return before.count("\n"), len(before) - (before.rfind("\n") + 1)


def read(text: str, source: str, faults: list[Fault], override: int = 0) -> Node | None:
    """Read one YAML document.

    Args:
        text: The document.
        source: Name of the document in messages.
        faults: Receives the errors found. Reading continues after an error if possible.
        override: See `Place`.

    Returns:
        The root, or None if the text is empty or reading could not continue.
    """

    def at(line: int, column: int) -> Place:
        return Place(override, line + 1, column + 1, source)

    try:
        if len(text) > MAX_SIZE:
            raise _Unreadable(at(0, 0), (), f"{len(text)} characters; the limit is {MAX_SIZE}")
        if bad := _FORBIDDEN.search(text):
            place = at(*line_and_column(text[: bad.start()]))
            raise _Unreadable(
                place, (), f"character {bad[0]!r} is not allowed; write it as an escape sequence in double quotes"
            )
        return _Builder(text, at, faults).document()
    except _Unreadable as error:
        faults.append(error.fault)
    except yaml.MarkedYAMLError as error:
        mark, begin = error.problem_mark or error.context_mark, error.context_mark
        since = f" of line {begin.line + 1}, column {begin.column + 1}" if begin else ""
        where = f" ({error.context}{since})" if error.context else ""
        place = at(mark.line, mark.column) if mark else at(0, 0)
        hint = "use spaces instead of tabs" if "'\\t'" in str(error.problem) else ""
        faults.append(Fault(place, (), f"not valid YAML: {error.problem}{where}", hint=hint))
    except yaml.YAMLError as error:
        faults.append(Fault(at(0, 0), (), "not valid YAML: " + " ".join(str(error).split())))
    return None


class _Unreadable(Exception):  # noqa: N818 - carries a fault, never leaves this module
    """Reading cannot continue."""

    def __init__(self, place: Place, path: Path, wrong: str) -> None:
        self.fault = Fault(place, path, wrong)


class _Builder:
    """Builds nodes from PyYAML's events, which are produced without recursion, so the limits apply from the start."""

    def __init__(self, text: str, at: Callable[[int, int], Place], faults: list[Fault]) -> None:
        self.events: Iterator[Any] = iter(yaml.parse(text, Loader=yaml.SafeLoader))
        self.at, self.faults = at, faults
        self.anchors: dict[str, Node] = {}
        self.count = 0

    def document(self) -> Node | None:
        next(self.events)  # the stream's start
        start = next(self.events)
        if isinstance(start, yaml.StreamEndEvent):
            return None
        if start.version not in (None, (1, 2)):
            version = ".".join(map(str, start.version))
            self.fault(start, (), f"YAML {version} is not supported; expected 1.2 or no %YAML line")
        root = self.node(next(self.events), (), 1)
        next(self.events)  # the document's end
        if not isinstance(further := next(self.events), yaml.StreamEndEvent):
            self.fault(further, (), "a second document starts here; expected only one")
        return root

    def place(self, event: Any) -> Place:
        return self.at(event.start_mark.line, event.start_mark.column)

    def fault(self, event: Any, path: Path, wrong: str, hint: str = "") -> None:
        self.faults.append(Fault(self.place(event), path, wrong, hint=hint))

    def bounded(self, event: Any, path: Path, size: int, depth: int) -> None:
        self.count += size
        if self.count > MAX_NODES:
            raise _Unreadable(self.place(event), path[:1], f"more than {MAX_NODES} values, aliases expanded")
        if depth > MAX_DEPTH:
            raise _Unreadable(self.place(event), path[:1], f"nested more than {MAX_DEPTH} levels deep")

    def node(self, event: Any, path: Path, depth: int) -> Node:
        if isinstance(event, yaml.AliasEvent):
            return self.alias(event, path, depth)
        self.bounded(event, path, 1, depth)
        if event.tag is not None:
            tag = event.tag.replace("tag:yaml.org,2002:", "!!")
            self.fault(event, path, f"tag {tag!r} is not allowed; types follow from the fields", "remove the tag")
        if isinstance(event, yaml.MappingStartEvent):
            node = self.mapping(event, path, depth)
        elif isinstance(event, yaml.SequenceStartEvent):
            items: list[Node] = []
            while not isinstance(item := next(self.events), yaml.SequenceEndEvent):
                items.append(self.node(item, (*path, str(len(items))), depth + 1))
            node = Node(self.place(event), tuple(items))
        else:
            node = Node(self.place(event), self.scalar(event, path))
        if event.anchor is not None:
            self.anchors[event.anchor] = node
        return node

    def alias(self, event: Any, path: Path, depth: int) -> Node:
        target = self.anchors.get(event.anchor)
        if target is None:
            wrong = f"alias '*{event.anchor}' has no anchor '&{event.anchor}' that ends before it"
            raise _Unreadable(self.place(event), path, wrong)
        self.bounded(event, path, target.size, depth + target.height - 1)
        return target

    def scalar(self, event: Any, path: Path) -> Scalar:
        if event.tag is None and not event.implicit[0]:  # quoted, or a block
            return str(event.value)
        try:
            return scalar(event.value)
        except ValueError as error:
            self.fault(event, path, str(error))
            return None

    def mapping(self, start: Any, path: Path, depth: int) -> Node:
        children: dict[str, Node] = {}
        keys: dict[str, Place] = {}
        while not isinstance(event := next(self.events), yaml.MappingEndEvent):
            merge = isinstance(event, yaml.ScalarEvent) and event.value == "<<" and event.implicit[0]
            key = self.node(event, path, depth + 1).value
            value = self.node(next(self.events), (*path, str(key) if isinstance(key, Scalar) else "?"), depth + 1)
            if merge:
                self.fault(event, (*path, "<<"), "merge keys are not allowed", "write the fields out")
            elif not isinstance(key, str):
                self.fault(event, path, f"key {shown(key)} is not text", "put it in quotes")
            elif key in children:
                first = keys[key]
                self.fault(event, (*path, key), f"duplicate key; the first is on line {first.line}", "remove one")
            else:
                children[key], keys[key] = value, self.place(event)
        return Node(self.place(start), children, keys)
