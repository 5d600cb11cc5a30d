"""What a step is given of a profile: the parts that decide its result."""

import json
from typing import Any

from pydantic import TypeAdapter

from components.config.profile import Profile


def load_part(text: str) -> Profile:
    """Read what `Profile.only` wrote; the other parts are not there, not even their defaults."""
    values = json.loads(text)
    kinds: dict[str, Any] = {name: Profile.model_fields[name].annotation for name in values}
    parts = {k: TypeAdapter(kinds[k]).validate_python(value) for k, value in values.items()}
    profile = Profile.model_construct(_fields_set=set(parts), **parts)
    for name in Profile.model_fields.keys() - parts.keys():
        profile.__dict__.pop(name, None)
    return profile
