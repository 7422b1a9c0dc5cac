"""A worker without Ray on the small clip, and its backgrounds."""

from __future__ import annotations

from pathlib import Path

import small
from small import SmallClip

from actors.core.audio_track import AudioTrack
from actors.core.choices import Delivery, Device, Interpolation, Loop, Precision
from actors.core.clip import FaceBox, ImageFrames
from actors.core.pairing import Pairing
from actors.files.digests import code_digest, model_digest
from actors.files.node_check import ClipCheck, ModelCheck
from actors.files.run_folder import RunFolder
from actors.kinds.unet_328_ave import KIND as UNET_328
from actors.network.recognition import read_model
from actors.rendering.blocks import BlockRequest, PictureBlock, load_block
from actors.rendering.compositor import Compositor
from actors.rendering.worker_config import ClipConfig, NetworkConfig

CLIP = "clip"

MARK = ".driver"


def request_of(clip: SmallClip, delivery: Delivery | None, *, prepare: bool = True) -> BlockRequest:
    paths = tuple(str(clip.folder / "full_body_img" / f"{i + 1}.png") for i in range(small.BACKGROUNDS))
    boxes = tuple(FaceBox(*box) for box in clip.boxes)
    source = ImageFrames(paths, small.WIDTH, small.HEIGHT)
    return BlockRequest(0, source, boxes, Interpolation.CUBIC, delivery, prepare)


def block_of(clip: SmallClip, delivery: Delivery | None, *, prepare: bool = True) -> PictureBlock:
    block, _ = load_block(request_of(clip, delivery, prepare=prepare), UNET_328)
    assert isinstance(block, PictureBlock)
    return block


def network_of(model: Path, **how: int) -> NetworkConfig:
    return NetworkConfig(
        model=str(model),
        tensors=read_model(str(model), UNET_328),
        kind=UNET_328,
        device=Device.CPU,
        precision=Precision.FP32,
        threads=1,
        compositing_threads=how.get("threads", 0),
        batch=how.get("batch", 1),
        gpus=0,
        ready_planes=False,
        faces=False,
        check=ModelCheck(str(model), (), model_digest(str(model), ())),
        code=code_digest(),
    )


def clip_of(out: Path, clip: SmallClip, delivery: Delivery | None, name: str = CLIP) -> ClipConfig:
    """What a worker is told of the clip, and the folder that it writes into."""
    folder = RunFolder.at(out)
    folder.make_folders(frames=True, segments=True)
    (out / MARK).touch()
    return ClipConfig(
        id=name,
        audio=AudioTrack(clip.features, None),
        pairing=Pairing(Loop.BOUNCE, small.BACKGROUNDS),
        interpolation=Interpolation.CUBIC,
        colour_match=False,
        delivery=delivery,
        folder=folder,
        samples=((0, request_of(clip, None)),),
        check=ClipCheck((), folder, MARK),
    )


def worker_of(out: Path, model: Path, clip: SmallClip, delivery: Delivery | None, **how: int) -> Compositor:
    """A worker that renders the clip, by the name of `CLIP`."""
    worker = Compositor(7, network_of(model, **how))
    worker.prepare(clip_of(out, clip, delivery))
    return worker
