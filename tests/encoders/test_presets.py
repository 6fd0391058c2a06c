import pytest

from namesake.encoders.presets import EMBEDDED, KNOWN, PRESETS, embedded_notice


@pytest.mark.parametrize("name", ["paper", "laptop", "modern"])
def test_every_published_source_is_known(name: str) -> None:
    for part, source in vars(PRESETS[name]).items():
        if source is not None:
            assert KNOWN[source].bytes > 10_000_000, part


def test_mini_needs_nothing_from_outside() -> None:
    assert all(source.startswith(EMBEDDED) for source in vars(PRESETS["mini"]).values())


def test_tier_m_is_exactly_sam() -> None:
    assert {source for source, known in KNOWN.items() if known.tier == "M"} == {
        "facebook/sam-vit-huge",
        "facebook/sam2.1-hiera-large",
    }


def test_tables_cannot_be_changed() -> None:
    with pytest.raises(TypeError):
        PRESETS["mini"] = PRESETS["paper"]  # type: ignore[index]


def test_notice__only_where_embedded_models_are_used() -> None:
    notice = embedded_notice(["embedded:clip", "facebook/dino-vits8"])
    assert "embedded:clip" in notice
    assert "know nothing else" in notice
    assert "vits8" not in notice
    assert embedded_notice(["facebook/dino-vits8", "folder/clip"]) == ""
