"""The provider's own client says a conversation, so that its request can be compared with the service's.

Standard input: {"address", "key", "model", "system", "config", "turns": [[role, parts]]}; a part is a text or
[media type, base64].
"""

import base64
import json
import sys

from google import genai
from google.genai import types

asked = json.load(sys.stdin)


def part(said):
    if isinstance(said, str):
        return types.Part.from_text(text=said)
    media_type, content = said
    return types.Part.from_bytes(data=base64.b64decode(content), mime_type=media_type)


options = types.HttpOptions(base_url=asked["address"], api_version="v1beta")
client = genai.Client(api_key=asked["key"], http_options=options)
client.models.generate_content(
    model=asked["model"],
    contents=[
        types.Content(role=role, parts=[part(each) for each in parts]) for role, parts in asked["turns"]
    ],
    config=types.GenerateContentConfig(system_instruction=asked["system"], **asked["config"]),
)
