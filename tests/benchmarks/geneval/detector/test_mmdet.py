"""mmdet itself and the transformers network see the same, where mmdet (2.28 or 3.x) is installed."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from janus_eval.benchmarks.geneval.detector import canary, convert, small
from janus_eval.benchmarks.geneval.detector.backends import MmdetDetector, TransformersDetector
from janus_eval.benchmarks.geneval.detector.instances import decode
from support import mmdet_files

mmdet = pytest.importorskip("mmdet", reason='mmdet is not installed: pip install "janus-eval[mmdet]" runs this')
OLD = mmdet.__version__.startswith("2")


def small_config(folder: Path) -> Path:
    """Write the official configuration with the small network's sizes."""
    if OLD:
        from mmcv import Config
    else:
        from mmengine.config import Config
    config = Config.fromfile(str(MmdetDetector._config(Path(mmdet.__file__))))
    size, head = small.SMALL, config.model.panoptic_head
    wide = size.width
    swin: dict[str, Any] = {"embed_dims": size.embed_dim, "depths": list(size.depths), "num_heads": list(size.heads)}
    config.model.backbone.update(swin, mlp_ratio=int(size.mlp_ratio), init_cfg=None)
    head.update(in_channels=[size.embed_dim << stage for stage in range(4)], feat_channels=wide, out_channels=wide)
    head.num_queries = size.queries
    encoder, decoder = head.pixel_decoder.encoder, head.transformer_decoder
    encoder.num_layers, decoder.num_layers = size.encoder_layers, size.decoder_layers
    key = "transformerlayers" if OLD else "layer_cfg"
    for layer, hidden in ((encoder[key], size.encoder_ffn), (decoder[key], size.decoder_ffn)):
        for part in ("attn_cfgs",) if OLD else ("self_attn_cfg", "cross_attn_cfg"):
            if part in layer:
                layer[part].update(embed_dims=wide, num_heads=size.attention_heads)
        layer["ffn_cfgs" if OLD else "ffn_cfg"].update(embed_dims=wide, feedforward_channels=hidden)
        if "feedforward_channels" in layer:
            layer.feedforward_channels = hidden
    head.positional_encoding.num_feats = head.pixel_decoder.positional_encoding.num_feats = wide // 2
    config.model.test_cfg.max_per_image = small.SMALL_SETTINGS.max_per_image
    if OLD:
        config.data.test.pipeline[1].img_scale = small.SMALL_SETTINGS.scale
    else:
        config.test_dataloader.dataset.pipeline[1].scale = small.SMALL_SETTINGS.scale
        config.model.init_cfg = None
    config.dump(str(folder / "config.py"))
    return folder / "config.py"


@pytest.mark.filterwarnings("ignore")
def test_both_backends_see_the_same(tmp_path: Path) -> None:
    checkpoint = mmdet_files.write_pth(tmp_path / "x.pth", "2.x" if OLD else "3.x")
    convert.convert(checkpoint, tmp_path / "x", small.SMALL_SETTINGS)
    ours = TransformersDetector(tmp_path / "x", device="cpu", pipeline="mmdet2" if OLD else "mmdet3")
    theirs = MmdetDetector(checkpoint, device="cpu", config=small_config(tmp_path))
    for picture in canary.pictures():
        (one,) = ours.detect([ours.prepare(picture)], 0.05)
        (other,) = theirs.detect([theirs.prepare(picture)], 0.05)
        assert len(one.scores) > 5
        assert np.abs(one.scores - other.scores).max() <= 1e-5
        assert one.labels.tolist() == other.labels.tolist()
        assert (one.boxes == other.boxes).all()
        moved = [int((decode(a) != decode(b)).sum()) for a, b in zip(one.masks, other.masks, strict=True)]
        assert max(moved) <= 2


@pytest.mark.filterwarnings("ignore")
def test_names_of_the_other_version_are_refused(tmp_path: Path) -> None:
    from janus_eval.evals.errors import UsageError

    checkpoint = mmdet_files.write_pth(tmp_path / "x.pth", "3.x" if OLD else "2.x")
    with pytest.raises(UsageError, match="give that file"):
        MmdetDetector(checkpoint, device="cpu", config=small_config(tmp_path))
