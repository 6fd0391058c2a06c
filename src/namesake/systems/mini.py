"""Settings of the presets `mini`, for the embedded models' small images, and `laptop`, for machines without a GPU."""

from namesake.encoders import AutomaticConfig
from namesake.masks.regions import RegionsConfig
from namesake.networks.deeplab import DeepLabConfig
from namesake.networks.zutis import QuerySegmenterConfig
from namesake.segmenter.aligned import AlignedInference
from namesake.segmenter.query import QueryInference
from namesake.training import ExpertsConfig, QueryTrainingConfig, SaliencyTrainingConfig, TrainingConfig
from namesake.training.alignment import AlignmentTrainingConfig

MINI_AUTOMATIC = AutomaticConfig(points_per_side=8, pred_iou_thresh=0.4, stability_score_thresh=0.0)
MINI_DEEPLAB = DeepLabConfig(
    output_stride=16, low_level_channels=32, aspp_channels=96, atrous_rates=(1, 2), backbone_bn_momentum=0.1
)

MINI_TRAINING = TrainingConfig(
    backbone="embedded:resnet",
    iterations=320,
    batch_size=24,
    crop_size=80,
    resize_range=(0.5, 1.34),
    color_jitter=0.3,
    copy_paste_max=6,
    learning_rate=1e-2,
    backbone_lr_factor=0.2,
    resize_longer=128,
    enlarge=True,
    architecture=MINI_DEEPLAB,
    num_workers=1,
    threads=1,
    checkpoint_every=100,
)
"""For the embedded world's small images, on two CPU cores in about two minutes. Images are enlarged by a third, within
the range of sizes that training shows: many of their things are a few of the network's cells wide."""

MINI_EXPERTS = ExpertsConfig(
    **vars(MINI_TRAINING) | {"iterations": 0, "batch_size": 16, "copy_paste_max": 1, "checkpoint_every": 60},
    groups=4,
    clip="embedded:clip",
)
"""As `MINI_TRAINING`, for samples of one image each. No updates, so no experts: 60 updates cost half as much time as
the segmenter and bring it nothing here (dev/LOG.md)."""

MINI_QUERY_TRAINING = QueryTrainingConfig(
    clip="embedded:clip",
    normalization="clip",
    iterations=800,
    batch_size=8,
    crop_size=96,
    resize_range=(0.4, 1.34),
    color_jitter=0.3,
    copy_paste_max=4,
    learning_rate=2e-3,
    backbone_lr_factor=0.25,
    logit_scale=15.0,
    init="he",
    architecture=QuerySegmenterConfig(
        queries=16, layers=2, heads=4, mlp_dim=256, hidden_dim=128, interpolate_offset=0.0, stem=32
    ),
    inference=QueryInference(patch_fit="resize"),
    num_workers=1,
    threads=1,
    checkpoint_every=100,
)
"""For the embedded world's small images, on one CPU core in five minutes."""

LAPTOP_QUERY_TRAINING = QueryTrainingConfig(
    normalization="clip",
    iterations=150,
    batch_size=4,
    crop_size=224,
    resize_range=(0.3, 1.0),
    resize_longer=320,
    copy_paste_max=4,
    learning_rate=5e-4,
    backbone_lr_factor=0.02,
    logit_scale=15.0,
    init="he",
    architecture=QuerySegmenterConfig(queries=30, layers=3, mlp_dim=1024, interpolate_offset=0.0),
    inference=QueryInference(patch_fit="resize"),
    num_workers=1,
    checkpoint_every=50,
)
"""For two CPU cores, chosen by time and by what a short training needs, not by accuracy. Crops of the size that CLIP
was trained at, with its own mean and deviation, cost a third of those of 384 pixels; pictures are read at half of 640
pixels, within the range of sizes that training shows, at a fifth of the cost. The decoder is half as deep and its rate
ten times the paper's, for fewer than a hundredth of the updates; CLIP's own rate stays near the paper's 5e-6. The scale
of cosines and the wide first weights are those with which the embedded world's short training learns."""

MINI_SALIENCY = SaliencyTrainingConfig(
    backbone="embedded:dino",
    queries=10,
    layers=3,
    resize_shorter=96,
    iterations=1200,
    batch_size=16,
    image_size=96,
    resize_range=(0.3, 1.0),
    learning_rate=2e-4,
    backbone_lr_factor=0.2,
    num_workers=1,
)
"""For the embedded world's small images, on two CPU cores in minutes."""

MINI_REGIONS = RegionsConfig(
    clip="embedded:clip",
    mask_model="embedded:sam",
    prompts="templates",
    image_size=96,
    keep_last_mlp=True,
    present_from="patches",
    min_votes=5,
    resize_longer=96,
    automatic=MINI_AUTOMATIC,
)
"""For the embedded world's small images. The embedded SAM expects less of its masks of things than the published one
does, and blurs them: at 0.75 and a stability of 0.7, one thing in twenty keeps a mask (dev/LOG.md)."""

LAPTOP_REGIONS = RegionsConfig(
    clip="openai/clip-vit-base-patch16",
    mask_model="facebook/dino-vits16",
    image_size=448,
    overview=True,
    resize_longer=384,
)
"""For two CPU cores: four crops of CLIP's 224 pixels and the whole image vote; masks are clusters of DINO's patches,
which cover things and stuff, instead of SAM's (tier S)."""

MINI_ALIGNMENT = AlignmentTrainingConfig(
    dense_encoder="embedded:clip",
    clip="embedded:clip",
    prompts="templates",
    text_weight=50.0,
    label_sources="automatic",
    image_size=96,
    batch_size=8,
    iterations=600,
    optimizer="adamw",
    learning_rate=1e-3,
    flip_prob=0.5,
    logit_scale=4.0,
    inference=AlignedInference(
        image_size=96,
        logit_scale=4.0,
        automatic=MINI_AUTOMATIC,
    ),
    num_workers=1,
    checkpoint_every=100,
)
"""For the embedded world's small images; what led to these values is in dev/LOG.md. Here masks that are drawn first and
named then (stage 1.2) are named better than those that names ask for (1.1), which would lie over them."""

LAPTOP_ALIGNMENT = AlignmentTrainingConfig(
    dense_encoder="facebook/dinov2-small",
    clip="openai/clip-vit-base-patch16",
    text_weight=50.0,
    image_size=336,
    iterations=200,
    optimizer="adamw",
    learning_rate=1e-3,
    flip_prob=0.5,
    logit_scale=4.0,
    inference=AlignedInference(image_size=336),
    num_workers=1,
    checkpoint_every=50,
)
"""For two CPU cores, chosen by time, not by accuracy: DINOv2's smallest network at 24 x 24 patches, and the weights,
scale and optimiser with which a short training learns the words of the embedded world."""
