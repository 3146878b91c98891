"""What the tests share. Everything is made in temporary folders; nothing is downloaded."""

import os

import pytest

os.environ.update(HF_HUB_OFFLINE="1", HF_HUB_DISABLE_TELEMETRY="1", TOKENIZERS_PARALLELISM="false")


@pytest.fixture(scope="session")
def tiny_folders(tmp_path_factory):
    """Return a function from an architecture to the folder of a tiny random model of it, made once."""
    import tiny

    made = {}

    def folder(architecture="llama"):
        if architecture not in made:
            made[architecture] = tiny.save(tmp_path_factory.mktemp(architecture), architecture)
        return made[architecture]

    return folder


@pytest.fixture(scope="session")
def tiny_folder(tiny_folders):
    """Return the folder of a tiny random Llama."""
    return tiny_folders("llama")


@pytest.fixture(scope="session")
def loaded(tiny_folders):
    """Return a function from an architecture to its tiny model, loaded once."""
    import tiny

    models = {}

    def model(architecture="llama"):
        if architecture not in models:
            models[architecture] = tiny.load_exact(tiny_folders(architecture))
        tiny.exact_products()
        return models[architecture]

    return model


@pytest.fixture
def tiny_model(loaded):
    """Return the tiny Llama, its matrix products in float32."""
    return loaded("llama")
