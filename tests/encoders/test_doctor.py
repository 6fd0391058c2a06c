from namesake.encoders import describe, diagnose
from namesake.encoders.doctor import needed_of
from namesake.workspace.manifest import version_of


def test_every_model_of_every_preset_is_present_or_missing_with_a_place_to_get_it() -> None:
    report = diagnose()
    assert report["packages"]["torch"].startswith("2.")
    assert "thread" in report["devices"]["cpu"]
    models = needed_of(report)
    assert len({option for model in models for option in model.options}) == 22
    for model in models:
        embedded = model.source.startswith("embedded:")
        assert model.status == ("present" if embedded else "missing"), model
        assert model.bytes > 0, model
        assert embedded or model.url.startswith("https://"), model
        assert (": present, " if embedded else ": missing, ") in describe(model)
    assert report["bytes_to_fetch"] == sum(model.bytes for model in models if model.status == "missing")
    assert report["bytes"] > report["bytes_to_fetch"]


def test_optional_package__absent_is_no_failure() -> None:
    assert version_of("no-such-package-of-namesake") is None
    assert version_of("numpy")[0].isdigit()
