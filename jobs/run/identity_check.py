"""Whether a command goes on with a run's pixels; where not, in the words of the options that say otherwise. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from functools import partial
from typing import Any

from actors.core.errors import InputError
from jobs.inputs.options import CompositeOptions, Decides
from jobs.run.record import RunRecord

# Parts of an identity that are digests of what files hold. All others are values that people read.
DIGESTS = frozenset({"model", "clip", "features", "rects", "parsing", "silence"})

FIX = "give what it was begun with, --restart to begin anew, or another --out"


def check_same_pixels(earlier: RunRecord, options: CompositeOptions, identity: Mapping[str, Any]) -> None:
    """Makes sure that going on with an earlier run gives the frames that this command would.

    Args:
        earlier: the run that is gone on with.
        options: of this command.
        identity: what decides this command's pixels, see `jobs.inputs.inputs.Inputs.identity`.

    Raises:
        InputError: naming each option that differs, with both values; or the file that has changed.
    """
    then = earlier.identity
    differ = [name for name in identity if name in then and then[name] != identity[name]]
    # What an earlier version did not know of is as it was, unless an option now says something of it.
    unknown = [name for name in identity if name not in then and name in CompositeOptions.model_fields]
    differ += [name for name in unknown if _changed(earlier, options, name)]
    if not differ:
        return
    run = f"the run in {options.out} was begun"
    given: dict[str, None] = {}
    begun: dict[str, None] = {}
    for name in differ:
        changed = [one for one in deciding(name) if _changed(earlier, options, one)]
        for texts, value, values in ((given, partial(_value, options), identity), (begun, earlier.options.get, then)):
            # Where one option stands for another, what is not given says nothing.
            some = [one for one in changed if value(one) is not None] or changed
            texts.update(dict.fromkeys(_text(one, value(one), values) for one in some))
    if not given:
        # Values that no option was given for, such as those that come with the kind of the network.
        for name in differ:
            if name not in DIGESTS:
                given[_text(name, None, identity)] = begun[_text(name, None, then)] = None
    if given:
        raise InputError(", ".join(given), f"{run} with {', '.join(begun)}", FIX)
    files = dict.fromkeys(_file(options, name) for name in differ)
    problem = (
        f"not what it was when {run}: the content has changed, or an earlier version of mouthpiece read it otherwise"
    )
    raise InputError(", ".join(files), problem, FIX)


def deciding(name: str) -> list[str]:
    """The options that decide a part of the identity."""
    return [
        option
        for option, field in CompositeOptions.model_fields.items()
        if any(isinstance(note, Decides) and name in note.identity for note in field.metadata)
    ]


def _changed(earlier: RunRecord, options: CompositeOptions, option: str) -> bool:
    return bool(_value(options, option) != earlier.options.get(option, CompositeOptions.model_fields[option].default))


def _value(options: CompositeOptions, option: str) -> object:
    return options.model_dump(mode="json", include={option})[option]


def _text(option: str, value: object, identity: Mapping[str, Any]) -> str:
    """An option as it would be given for what is in force; ``no --option`` where nothing is."""
    if option in identity and option not in DIGESTS:
        value = identity[option]
    flag = "clip" if option == "clip" else f"--{option.replace('_', '-')}"
    if option == "composite":
        return "compositing" if value else "--no-composite"
    if option == "device":
        value = str(value).removesuffix("ExecutionProvider").lower()
    if value is None or value is False:
        return f"no {flag}"
    return flag if value is True else f"{flag} {value}"


def _file(options: CompositeOptions, name: str) -> str:
    """The file or folder that a digest is of: the one that was given for it, else the clip."""
    given = [str(value) for option in deciding(name) if option != "silence" and (value := _value(options, option))]
    return given[0] if given else options.clip
