"""What is said before a run: embedded models are named once, and only those that the run uses."""

from namesake.names import read_names
from namesake.systems import configure
from namesake.systems.notices import say_before


def test_embedded__those_in_use(capsys):
    say_before(read_names("car, tree"), configure("namedmask", preset="mini", config=("experts.iterations=0",)))
    told = capsys.readouterr().err
    assert "embedded:clip, embedded:resnet, embedded:saliency" in told
    assert "embedded:sam" not in told
    say_before(read_names("car, sky"), configure("namedmask", preset="mini", config=("stuff.names=(sky,)",)))
    assert "embedded:sam" in capsys.readouterr().err


def test_published__no_notice(capsys):
    say_before(read_names("car, tree"), configure("namedmask", preset="paper"))
    assert "embedded" not in capsys.readouterr().err
