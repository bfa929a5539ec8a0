"""What schemathesis cannot invent: a clip. Half of what it puts where the document says `binary` is
a real one, so that messages come to exist and the operations that take an id meet one."""

import pathlib

import schemathesis
from hypothesis import strategies
from schemathesis.transport.serialization import Binary

CLIP = pathlib.Path(__file__).parents[2] / "tests/fixtures/audio/hello.ogg"

clips = strategies.just(CLIP.read_bytes())
schemathesis.openapi.format("binary", strategies.one_of(clips, strategies.binary()).map(Binary))
