"""Parse command lines and config files. A mistake in them is one sentence with the nearest valid names.

jsonargparse reports a mistake as a tree: for every type that an argument could have, the reason why the value is not of
that type, and for a class the reasons of its own arguments below. `boil_down` picks the deepest reason, which is where
the mistake is.
"""

import difflib
import functools
import importlib
import inspect
import itertools
import json
import re
import sys
import textwrap
import types
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from enum import Enum
from pathlib import Path
from typing import Any, NamedTuple, NoReturn, get_origin

import docstring_parser
import yaml
from jsonargparse import ArgumentParser, Namespace, set_parsing_settings

from gan_lightning.cli import configs
from gan_lightning.errors import UsageError, mistake_in, one_line, own_place

_KEY = re.compile(r'^(?:.*: )?Parser key "(?P<key>[^"]*)":\s*(?P<rest>.*)$')
_CLASS = re.compile(r"^Problem with given class_path '(?P<path>[^']*)':\s*(?P<rest>.*)$")
_CALLABLE = re.compile(
    r"^Type .* expects a function or a callable class: (?P<rest>.*?)"
    r"(?:\. Got value: Namespace\(class_path='(?P<path>[\w.]+)'.*)?$"
)
_TYPES = re.compile(r"^Subtypes: (?P<types>.*)$")
_VALUE = re.compile(r"^Given value: (?:NestedArg\(key=.*?, val=)?(?P<value>.*?)(?:\. Got value: .*)?\)?$")
_NOISE = re.compile(
    r"^(?:Does not validate against any|Errors:|Given value type: |Expected a path but .* either not accessible|"
    r"Subclass types expect one of|a class path \(str\)|a dict with)"
)
_UNKNOWN = re.compile(
    r"^(?:Option|Group '(?P<group>[^']*)' does not accept option|"
    r"Subcommand '(?P<command>[^']*)' does not accept option|No action for key) ['\"](?P<option>[^'\"]*)['\"]"
)
_EXPECTED = re.compile(
    r"^Expected an? (?P<type>(?:<class|typing|collections|Literal|tuple with).*?)"
    r"(?:\. Got value: (?P<value>.*?)(?:\. Got value: Namespace\(.*)?)?$"
)
_RESTRICTED = re.compile(
    r"^Not of type (?P<type>\w+): (?:.*: )?(?P<value>.*?)(?: does not conform to restriction .*)?$"
)
_NO_ATTRIBUTE = re.compile(r"^module '(?P<module>.*)' has no attribute '(?P<name>.*)'$")
_LITERAL = re.compile(r"Literal\[(?P<choices>.*?)\]")
_OTHER_CLASS = re.compile(
    r"Expected '(?P<path>[\w.]+)' to be a subclass of <class '(?P<base>[\w.]+)'>|"
    r"Import path (?P<given>[\w.]+) does not correspond to a subclass of (?P<wanted>[\w.]+)"
)
_DENIED = re.compile(r"Importing '(?P<path>[\w.]+)' is not allowed")
_UNRECOGNISED = re.compile(r"^unrecognized arguments: --(?P<option>\w+)")
_CHOICE = re.compile(r"[^\s,'\"\]]+")
_REQUIRED = re.compile(r"^the following arguments are required: (?P<names>.*)$")
_KINDS = {
    "int": "an integer",
    "float": "a number",
    "bool": "true or false",
    "NoneType": "null",
    "str": "text",
    "list": "a list",
    "tuple": "a list",
    "dict": "a mapping",
    "Iterable": "a list",
    "Sequence": "a list",
    "PositiveInt": "a whole number of 1 or more",
    "NonNegativeInt": "a whole number of 0 or more",
    "NonNegativeFloat": "a number of 0 or more",
}

_PARTS = ("models", "networks", "losses", "augmentation", "callbacks", "metrics", "schedules", "regularizers")
WELL_KNOWN = (*(f"gan_lightning.{part}" for part in _PARTS), "datamodules", "torch.optim")
"""Packages whose classes a help flag takes by name alone: `--model.help DCGAN`."""

_OF_SETTINGS = ("ValueError", "TypeError", "MisconfigurationException")

_DEEP = " " * 6

_failed: ContextVar[list[Exception] | None] = ContextVar("failed", default=None)


class Parser(ArgumentParser):
    """A jsonargparse parser that raises errors of one sentence and accepts no abbreviated flags."""

    def __init__(self, *args: Any, allow_abbrev: bool = False, **kwargs: Any) -> None:
        # a config is a file of this machine, and says nothing of what an argument without a type is to be; what
        # jsonargparse knows to run programs it refuses by name, before it is imported
        set_parsing_settings(
            config_read_mode_urls_enabled=False,
            config_read_mode_fsspec_enabled=False,
            instantiate_subclass_spec_in_any=False,
            import_path_denylist=[],
        )
        super().__init__(*args, allow_abbrev=allow_abbrev, **kwargs)
        self.start = Path.cwd()  # jsonargparse goes into the folder of a config file while it reads it
        self.commands: Mapping[str, ArgumentParser] = {}

    def add_argument(self, *args: Any, **kwargs: Any) -> Any:
        """Add an argument. A word of Python, which a function's parameter cannot be, has no underscore as a flag."""
        flag = args[0].removesuffix("_") if args else ""
        if not flag.startswith("--") or flag == args[0]:
            return super().add_argument(*args, **kwargs)
        action = super().add_argument(args[0], flag, *args[1:], **kwargs)
        action.option_strings = [flag]
        action.metavar = flag[2:].upper()
        return action

    def add_subcommands(self, *args: Any, **kwargs: Any) -> Any:
        """Remember the commands that are added, by name, as `commands`."""
        action = super().add_subcommands(*args, **kwargs)
        self.commands = action.choices
        return action

    def parse_args(  # type: ignore[override]
        self, args: Sequence[str] | None = None, *others: Any, **settings: Any
    ) -> Namespace:
        """Check the config files, then parse.

        Raises:
            UsageError: the arguments, or a config file, cannot be understood.
        """
        _refuse_bad_files(config_files(sys.argv[1:] if args is None else args))
        if args is not None:
            # jsonargparse hands the null of a part's part (`--model.schedule.end null`) on as the word None
            args = [f"{word.removesuffix('None')}null" if word.endswith("=None") else word for word in args]
        return super().parse_args(args, *others, **settings)

    def error(self, message: str, ex: Exception | None = None) -> NoReturn:
        """Raise the message as an error of one sentence.

        Raises:
            UsageError: the message, boiled down.
            argparse.ArgumentError: the message as it is, for the parser that contains this one.
        """
        if not self.exit_on_error:
            super().error(message, ex)
        raise UsageError(boil_down(message, self)) from ex

    def instantiate(self, namespace: Namespace, instantiate_groups: bool = True, **others: Any) -> Namespace:
        """Build the objects of a config. The first error of a constructor is raised unchanged.

        Raises:
            PermissionError: the config names something to call that is no class.
            ValueError: a class refuses its settings with an error that names neither; the sentence does.
        """
        if _failed.get() is not None:  # for a part of an object: the outer call handles errors
            return super().instantiate(namespace, instantiate_groups, **others)
        _refuse_functions(namespace)
        failed: list[Exception] = []
        token = _failed.set(failed)

        def build(kind: type, *args: Any, **kwargs: Any) -> Any:
            try:
                find_key = functools.partial(_keys_of, kind, kwargs, namespace)
                with under_key(find_key, kind), settings_of(_public_path(kind)):
                    return kind(*args, **kwargs)
            except Exception as error:
                failed.append(error)
                raise

        try:
            return super().instantiate(namespace, instantiate_groups, instantiators=[(build, object, True)], **others)
        except Exception as error:
            raise (failed[0] if failed else error)  # noqa: B904
        finally:
            _failed.reset(token)


def _refuse_functions(config: Any) -> None:
    """Refuse functions in a config, before any object of it is built.

    jsonargparse sees to it that a class is of the kind that its argument wants. But where an argument is a callable, it
    takes any function that does not say what it returns, such as os.system.

    Raises:
        PermissionError: a function is named, or anything else that is called and is no class.
    """
    for key, value in _settings(config):
        path = value.get("class_path") if isinstance(value, Namespace | dict) else None
        if isinstance(path, str) and not inspect.isclass(_imported(path)):
            raise _no_class(key, path)
        if isinstance(value, types.FunctionType | types.BuiltinFunctionType | types.MethodType | functools.partial):
            raise _no_class(key, f"{getattr(value, '__module__', '')}.{getattr(value, '__qualname__', value)}")


def _settings(value: Any, key: str = "") -> Iterator[tuple[str, Any]]:
    """Yield a config and all its parts, each with its key on the command line, without `fit` and `init_args`."""
    yield key, value
    if isinstance(value, Namespace | dict):
        items = vars(value) if isinstance(value, Namespace) else value
        command = None if key else items.get("subcommand")
        for name, item in items.items():
            hidden = name in (command, "init_args")
            yield from _settings(item, key if hidden else f"{key}.{name}" if key else str(name))
    elif isinstance(value, list | tuple):
        for i, item in enumerate(value):
            yield from _settings(item, f"{key}[{i}]")


@contextmanager
def under_key(find_key: Callable[[], str], kind: type) -> Iterator[None]:
    """Begin the error of a constructor that refuses its arguments with their key in the config.

    Args:
        find_key: tells the key, "" where it is not known.
        kind: the class that is constructed.

    Raises:
        ValueError: in place of the constructor's error, with the key before its sentence.
    """
    try:
        yield
    except Exception as error:
        mistake, key = mistake_in(error), find_key()
        if mistake is None or type(mistake).__name__ not in _OF_SETTINGS or not key:
            raise
        text, start = str(mistake), f"{kind.__name__}: "
        raise ValueError(f"{key}.{text.removeprefix(start)}" if text.startswith(start) else f"{key}: {text}") from error


def _keys_of(kind: type, given: dict[str, Any], config: Namespace) -> str:
    """Return the key under which a config has a class with these arguments; all keys if there are several."""
    keys: dict[int, list[str]] = {}  # of each part; the same may stand in several places
    for key, value in _settings(config):
        if _is_of(value, kind, given):
            keys.setdefault(id(value), []).append(key)
    return _listed([min(places, key=len) for places in keys.values()], "or")


def _is_of(value: Any, kind: type, given: dict[str, Any]) -> bool:
    """Return whether a class was built with these arguments from this part of a config."""
    if not (isinstance(value, Namespace | dict) and isinstance(path := value.get("class_path"), str)):
        return False
    settings = dict(value.get("init_args") or {})
    plain = {name: item for name, item in given.items() if isinstance(item, str | int | float | types.NoneType)}
    same = (repr(settings.get(name)) in (repr(item), repr(str(item))) for name, item in plain.items())  # NaN is none
    return _imported(path) is kind and all(same)


def _no_class(key: str, path: str) -> PermissionError:
    return PermissionError(
        f"{key}: {path} is no class, and a config names classes only, since a function might "
        "do anything: name a class, or a partial setting of one by class_path and init_args"
    )


@contextmanager
def settings_of(what: str) -> Iterator[None]:
    """Name `what` in the error of another library that refuses its settings, within this context.

    Raises:
        ValueError: instead of a ValueError, TypeError, RuntimeError or Lightning's MisconfigurationException that came
            neither from this library nor through the user's own code.
    """
    try:
        yield
    except Exception as error:
        if (
            type(error).__name__ not in (*_OF_SETTINGS, "RuntimeError")
            or mistake_in(error) is not None
            or own_place(error) is not None
        ):
            raise
        raise ValueError(f"{what} does not take these settings: {one_line(str(error))}") from error


def gathered(function: Callable[..., Any], arguments: Sequence[str]) -> list[str]:
    """Make one argument of all those without a flag, if the function's first parameter is a list.

    Args:
        function: what the arguments are for.
        arguments: of the command line; each flag has a value, beside it or after `=`.
    """
    first = next(iter(inspect.signature(function).parameters.values()), None)
    if first is None or get_origin(first.annotation) is not list:
        return [*arguments]
    items, flags, words = [], [], iter(arguments)
    for word in words:
        if not word.startswith("-") or word == "-":
            items.append(word)
        elif "=" in word or word in ("-h", "--help"):
            flags.append(word)
        else:
            flags += [word, *itertools.islice(words, 1)]
    return [*([json.dumps(items)] if items else []), *flags]


def boil_down(message: str, parser: ArgumentParser | None = None) -> str:
    """Return one sentence for an error of jsonargparse: the key, the value, the reason, and the nearest valid names.

    Args:
        message: jsonargparse's own.
        parser: the one that refused: its flags are suggested, and the config files that it was given are named.
    """
    if (match := re.match(r"unrecognized arguments: (.*)$", message, re.DOTALL)) is not None:
        return _unknown_flag(match[1], parser)
    if (match := re.search(r"invalid choice: '(.*?)' \(choose from (.*)\)", message)) is not None:
        names = re.findall(r"[\w-]+", match[2])
        return f"there is no command {match[1]!r}{_nearest(match[1], names)} (the commands are {', '.join(names)})"
    if (match := re.match(r'expected "\w+" to be one of \{(.*?)\}', message)) is not None:
        return f"a command is missing: give one of {match[1].replace(',', ', ')}"
    if (match := _REQUIRED.match(message)) is not None:
        return _missing(match["names"].split(", "))
    leaves = list(_leaves(_tree(message), _Reason()))
    if not leaves:
        return one_line(message)
    deepest = max(leaves, key=lambda leaf: (len(leaf.keys), leaf.owner is not None, bool(_UNKNOWN.match(leaf.text))))
    return _say(deepest, [leaf.text for leaf in leaves if leaf.place == deepest.place], parser)


def arguments_of(path: str) -> list[str]:
    """Return the names of the arguments of the class or function at an import path, with those of its bases."""
    found = _imported(path)
    names: list[str] = []
    for owner in inspect.getmro(found) if inspect.isclass(found) else [found]:
        function = vars(owner).get("__init__") if inspect.isclass(owner) else owner
        if function is None or owner is object:
            continue
        parameters = inspect.signature(function).parameters.values()
        plain = (p.name for p in parameters if p.kind in (p.POSITIONAL_OR_KEYWORD, p.KEYWORD_ONLY) and p.name != "self")
        names += [name for name in plain if name not in names]
        if not any(p.kind is p.VAR_KEYWORD for p in parameters):
            break
    return names


def help_of(path: str) -> str:
    """Explain the arguments of a class: name, type, default and meaning; those of its bases come last.

    Args:
        path: import path of the class. A class of `WELL_KNOWN` needs its name alone.

    Raises:
        ValueError: there is no such class.
    """
    paths = [path] if "." in path else [f"{package}.{path}" for package in WELL_KNOWN]
    found = next(filter(inspect.isclass, map(_imported, paths)), None)
    if found is None:
        raise ValueError(f"there is no class {path!r}: name it with its module, as in gan_lightning.models.DCGAN")
    lines = [f"{_public_path(found)}: {(inspect.getdoc(found) or '').partition(chr(10))[0]}", ""]
    known: set[str] = set()
    for owner in inspect.getmro(found):
        function = vars(owner).get("__init__")
        if function is None or owner is object or owner.__module__.startswith(("torch.nn.modules", "lightning.")):
            continue
        described = {
            each.arg_name: each.description or "" for each in docstring_parser.parse(owner.__doc__ or "").params
        }
        for each in inspect.signature(function).parameters.values():
            if each.name in {"self"} | known or each.kind in (each.VAR_KEYWORD, each.VAR_POSITIONAL):
                continue
            known.add(each.name)
            kind = each.annotation if isinstance(each.annotation, str) else inspect.formatannotation(each.annotation)
            kind = re.sub(r"Annotated\[(\w+), (.*?)\](?= \||$|,|\])", r"\1, \2", re.sub(r"\b(\w+\.)+(?=\w)", "", kind))
            default = "" if each.default is each.empty else f", default {each.default!r}"
            lines.append(f"  {each.name}  ({kind}{default})")
            lines += textwrap.wrap(
                one_line(described.get(each.name, "")), 112, initial_indent=" " * 6, subsequent_indent=" " * 6
            )
    return "\n".join(lines)


# ---------------------------------------------------------------------- the tree of reasons


class _Reason(NamedTuple):
    """A leaf of the tree: the keys that lead to it, the class whose argument it is, and the value that was given."""

    keys: tuple[str, ...] = ()
    owner: str | None = None
    types: str = ""
    value: str | None = None
    text: str = ""

    @property
    def place(self) -> Any:
        return self.keys, self.owner


def _tree(message: str) -> list[Any]:
    """Return the lines of a message, each with the lines that are indented below it."""
    roots: list[Any] = []
    open_nodes: list[tuple[int, list[Any]]] = [(-1, roots)]
    for line in message.splitlines():
        text = line.strip()
        if text:
            indent = len(line) - len(line.lstrip())
            while open_nodes[-1][0] >= indent:
                open_nodes.pop()
            children: list[Any] = []
            open_nodes[-1][1].append((text.removeprefix("- "), children))
            open_nodes.append((indent, children))
    return roots


def _leaves(nodes: list[Any], within: _Reason) -> Iterator[_Reason]:
    """Yield the reasons at the leaves."""
    for text, _ in nodes:
        if (match := _TYPES.match(text)) is not None:
            within = within._replace(types=match["types"])
        elif (match := _VALUE.match(text)) is not None:
            within = within._replace(value=match["value"].strip("'"))
    for text, children in nodes:
        if (match := _KEY.match(text)) is not None:
            keys = (*within.keys, match["key"])
            within_key = _Reason(keys)
            yield from _leaves([(match["rest"], []), *children] if match["rest"] else children, within_key)
        elif (match := _CLASS.match(text)) is not None:
            inside = within._replace(owner=match["path"])
            yield from _leaves([(match["rest"], []), *children] if match["rest"] else children, inside)
        elif (match := _CALLABLE.match(text)) is not None:
            yield from _leaves([(match["rest"], children)], within._replace(owner=match["path"]))
        elif _NOISE.match(text):
            yield from _leaves(children, within)
        elif not (_TYPES.match(text) or _VALUE.match(text)):
            yield within._replace(text=text)
            yield from _leaves(children, within)


# ---------------------------------------------------------------------- sentences


def _say(reason: _Reason, texts: list[str], parser: ArgumentParser | None) -> str:  # noqa: PLR0911, PLR0912 (one for each kind)
    """Return the sentence for a reason; `texts` has its text and those of the other types of the argument."""
    key = ".".join(reason.keys).removesuffix("_")  # see `Parser.add_argument`
    where = f"{key}: " if key else ""
    if (match := _UNKNOWN.match(reason.text)) is not None:
        if reason.owner is None:
            group = f"{match['group']}." if match["group"] else ""
            return _unknown_flag(f"--{group}{match['option']}", parser, match["command"])
        names = [name for name in arguments_of(reason.owner) if name != match["option"]]  # a class may fix its base's
        if match["option"] == "class_path":
            return f"{where}the settings of {reason.owner} go under init_args, beside class_path"
        others = "" if _close(match["option"], names) else f" (it takes {', '.join(names) or 'none'})"
        option, found = match["option"], _place_in_files(match["option"], parser)
        return f"{where}{reason.owner} has no argument {option!r}{_nearest(option, names)}{others}{found}"
    if reason.owner is not None and (match := _UNRECOGNISED.match(reason.text)) is not None:
        option = match["option"]
        names = [name for name in arguments_of(reason.owner) if name != option]
        return f"{where}{reason.owner} has no argument {option!r}{_nearest(option, names)}"
    if (match := _REQUIRED.match(reason.text)) is not None:
        return f"{where}{reason.owner} needs {match['names']}: give it under init_args"
    if (match := _RESTRICTED.match(reason.text)) is not None:
        return f"{where}{match['value']} is not {_kind(match['type'])}"
    expected = [match for text in texts if (match := _EXPECTED.match(text)) is not None]
    given = next((match["value"] for match in expected if match["value"]), reason.value)
    for text in texts:
        if (match := _DENIED.search(text)) is not None:
            found = _place_in_files(reason.keys[-1], parser) if reason.keys else ""
            return f"{where}{match['path']} is nothing that a config may name, since it might do anything{found}"
        if (match := _OTHER_CLASS.search(text)) is not None:
            path, base = match["path"] or match["given"], (match["base"] or match["wanted"]).rpartition(".")[2]
            return f"{where}{path} is no {base}: name a class of that kind{_place_in_files(reason.keys[-1], parser)}"
    if (match := _NO_ATTRIBUTE.match(reason.text)) is not None:
        given = f"{match['module']}.{match['name']}"
    bases = [base for path in re.findall(r"[\w.]+\.\w+", reason.types) if (base := _kind_of_class(path)) is not None]
    if bases and given is not None and re.fullmatch(r"[A-Za-z_][\w.]*", given):
        return f"{where}{_no_such_class(given, bases, reason.text)}{_place_in_files(reason.keys[-1], parser)}"
    if expected:
        types = [*re.findall(r"jsonargparse\.typing\.\w+", reason.types), *(match["type"] for match in expected)]
        literals = [match["choices"] for text in (*types, reason.types) for match in _LITERAL.finditer(text)]
        choices = [choice for text in literals for choice in _CHOICE.findall(text)]
        if choices:  # what they are of is no type of its own
            types = [text for text in types if text in reason.types]
        kinds = dict.fromkeys(_kind(text) for text in types if "Literal" not in text)
        wanted = [*dict.fromkeys(choices), *(_an(base.__name__) for base in bases), *kinds]
        found = _place_in_files(reason.keys[-1], parser)
        return f"{where}{given!r} is not {_listed(wanted, 'or')}{_nearest(str(given), choices)}{found}"
    if reason.text.endswith("object has no attribute 'keys'"):
        return f"{where}the init_args of {reason.owner} are no mapping: give names and values, as in {{lr: 0.001}}"
    if reason.text.startswith("Unable to load config"):
        return f"{where}this is neither a mapping of settings nor the path of a YAML file"
    owner = f" ({reason.owner})" if reason.owner else ""
    return f"{where}{one_line(reason.text.partition('. Got value: Namespace')[0])}{owner}"


def _unknown_flag(given: str, parser: ArgumentParser | None, command: str | None = None) -> str:
    """Return the sentence for an unknown flag or another unknown word."""
    from gan_lightning.private import flags_of  # noqa: PLC0415 (importing torch takes seconds)

    parser = _parser_of(parser, command)
    flags = [] if parser is None else flags_of(parser)
    name = next((word for word in given.split() if word.startswith("-")), None)
    if name is None:
        return f"{given!r} is one argument too many: a setting is given as --NAME VALUE (see --help)"
    name = name.partition("=")[0]
    suggested = [flag for flag in flags if flag.startswith(name)][:3] or _close(name, flags)
    found = _place_in_files(name.removeprefix("--").rpartition(".")[2], parser)
    return f"there is no setting {name}{_did_you_mean(suggested)}{'' if suggested else ' (see --help)'}{found}"


def _missing(names: list[str]) -> str:
    """Return the sentence for missing required arguments."""
    command = {name.partition(".")[0] for name in names if "." in name}
    flags = [name.partition(".")[2] or name for name in names]
    if flags and command:
        return (
            f"{command.pop()} needs {' and '.join(sorted(flags))}: give a config (--config quickstart, "
            "say), or flags (see --help)"
        )
    return f"missing: {', '.join(names)} (see --help)"


# Members of enumerations are defaults in Lightning's callbacks (Timer), and config.yaml holds their values
yaml.SafeDumper.add_multi_representer(Enum, lambda dumper, member: dumper.represent_data(member.value))


class _Once(yaml.SafeLoader):
    """A YAML loader that refuses a repeated key: PyYAML would use only the last of two blocks `trainer`."""

    def construct_mapping(self, node: Any, deep: bool = False) -> dict[Any, Any]:
        """Read a mapping.

        Raises:
            yaml.MarkedYAMLError: a key is repeated.
        """
        names = [key.value for key, _ in node.value if isinstance(key.value, str) and key.value != "<<"]
        for i, (key, _) in enumerate(node.value):
            if isinstance(key.value, str) and key.value in names[:i]:
                raise yaml.MarkedYAMLError(problem=f"the key {key.value!r} stands twice", problem_mark=key.start_mark)
        return super().construct_mapping(node, deep)


def _refuse_bad_files(files: Iterable[Path]) -> None:
    """Refuse a config file that is missing, cannot be read, or is not YAML with keys.

    Raises:
        UsageError: a file is missing, or its content is no config.
        OSError: a file cannot be read.
    """
    for file in files:
        if not file.exists():
            name, known = str(file).removeprefix("configs/").removesuffix(".yaml"), configs.names()
            near = _close(name, known) or [each for each in known if each.rpartition("/")[2] == name][:3]
            others = " (`gan-lightning models` lists those of the library)"
            raise UsageError(f"there is no config {file}{_did_you_mean(near) or others}")
        if file.is_dir():
            raise UsageError(f"{file} is a folder, where --config takes a YAML file")
        try:
            content = yaml.load(file.read_text(encoding="utf-8"), _Once)
        except yaml.MarkedYAMLError as error:
            line = f", line {error.problem_mark.line + 1}" if error.problem_mark is not None else ""
            raise UsageError(f"{file}{line} is not valid YAML: {one_line(error.problem or str(error))}") from error
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise UsageError(f"{file} is not YAML: {one_line(str(error))}") from error
        if not isinstance(content, dict):
            kind = "empty" if content is None else _kind(type(content).__name__)
            raise UsageError(f"{file} is {kind}, where a config has keys such as trainer, model and data")
        for key in ("trainer", "model", "data"):
            if not isinstance(content.get(key), str | dict | types.NoneType):
                raise UsageError(f"{file}: {key} is {content[key]!r}, where a config has settings below it")


def _no_such_class(given: str, bases: list[type], text: str) -> str:
    """Return the sentence for a name that is no class of the kinds that are wanted."""
    names = {_public_path(kind) for base in bases for kind in _subclasses(base)}
    if "abstract" in text:
        return f"{given} only says what its subclasses have in common{_did_you_mean(sorted(names)[:5])}"
    wanted = _listed([_public_path(base) for base in bases], "or")
    kinds = _listed([_an(base.__name__) for base in bases], "or")
    found = "there is no class" if _imported(given) is None else f"{kinds} is wanted, not"
    return f"{found} {given!r}{_nearest(given, names) or f' (a subclass of {wanted} is wanted)'}"


def _an(name: str) -> str:
    return f"{'an' if name[:1] in 'AEIOUaeiou' else 'a'} {name}"


def _listed(names: Sequence[str], last: str) -> str:
    """Join names as in "a, b or c"."""
    return f" {last} ".join(filter(None, [", ".join(names[:-1]), *names[-1:]]))


def _kind(text: str) -> str:
    """Return the words for a type as jsonargparse writes it."""
    if (several := re.fullmatch(r"tuple with (\d+) elements", text)) is not None:
        return f"a list of {several[1]}"
    name = text.removeprefix("<class '").removesuffix("'>").partition("[")[0].rpartition(".")[2]
    return _KINDS.get(name, _an(name))


def _nearest(name: str, names: Iterable[str]) -> str:
    return _did_you_mean(_close(name, names))


def _did_you_mean(names: Sequence[str]) -> str:
    return f"; did you mean {_listed(names, 'or')}?" if names else ""


def _close(name: str, names: Iterable[str]) -> list[str]:
    """Return up to three of the names, the nearest first. The last parts of dotted names are compared too."""
    tails: dict[str, list[str]] = {}
    for candidate in sorted(names):
        tails.setdefault(candidate.rpartition(".")[2].lower(), []).append(candidate)
        tails.setdefault(candidate.lower(), []).append(candidate)
    near = difflib.get_close_matches(name.lower(), tails, 3, 0.7)
    near += difflib.get_close_matches(name.rpartition(".")[2].lower(), tails, 3, 0.7)
    return list(dict.fromkeys(candidate for tail in near for candidate in tails[tail]))[:3]


# ---------------------------------------------------------------------- looking things up


def _parser_of(parser: ArgumentParser | None, command: str | None) -> ArgumentParser | None:
    """Return the parser of the given command, if `parser` has commands."""
    commands = parser.commands if isinstance(parser, Parser) else {}
    given = [command] if command else _arguments(parser)
    return next((commands[word] for word in given if word in commands), parser)


def _arguments(parser: ArgumentParser | None) -> list[str]:
    return list(getattr(parser, "args", None) or sys.argv[1:])


def config_files(arguments: Sequence[str]) -> list[Path]:
    """Return the config files of a command line, in order."""
    pairs = itertools.pairwise([*arguments, ""])
    named = [
        flag.partition("=")[2] if "=" in flag else value
        for flag, value in pairs
        if flag.partition("=")[0] in ("--config", "-c")
    ]
    return [Path(name) for name in named if name]


def _place_in_files(key: str, parser: ArgumentParser | None) -> str:
    """Return file and line of a key in the config files, in brackets; "" if a flag gives the key."""
    given = [word.partition("=")[0] for word in _arguments(parser)]
    if any(word.startswith("-") and word.rpartition(".")[2].strip("-+") == key for word in given):
        return ""
    for file in reversed(config_files(_arguments(parser))):
        try:
            lines = Path(getattr(parser, "start", ""), file).read_text(encoding="utf-8").splitlines()
        except (OSError, UnicodeDecodeError):
            continue
        for number, line in enumerate(lines, 1):
            if re.match(rf"\s*(?:- )?{re.escape(key)}\s*:", line):
                return f" ({file}, line {number})"
    return ""


def _imported(path: str) -> Any:
    """Return the object at an import path. None = there is none."""
    package, _, name = path.rpartition(".")
    try:
        return getattr(importlib.import_module(package), name, None)
    except (ImportError, ValueError):
        return None


def _kind_of_class(path: str) -> type | None:
    """Return the class at an import path, if an argument can ask for a subclass of it."""
    if path.startswith(("collections.", "jsonargparse.", "typing.", "torch.Tensor", "pathlib.", "torch.nn.parameter")):
        return None
    found = _imported(path)
    return found if inspect.isclass(found) else None


def _subclasses(base: type) -> Iterator[type]:
    """Yield the imported subclasses that can be built."""
    kind: type
    for kind in base.__subclasses__():
        if not (inspect.isabstract(kind) or kind.__name__.startswith("_") or "<locals>" in kind.__qualname__):
            yield kind
        yield from _subclasses(kind)


def _public_path(kind: type) -> str:
    """Return the shortest import path of a class."""
    parts = kind.__module__.split(".")
    for count in range(1, len(parts)):
        package = ".".join(parts[:count])
        if getattr(sys.modules.get(package), kind.__name__, None) is kind:
            return f"{package}.{kind.__name__}"
    return f"{kind.__module__}.{kind.__name__}"
