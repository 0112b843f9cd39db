"""Tests of every network: published sizes, building from YAML, recording, clear errors."""

import functools

import pytest
import torch
from jsonargparse import ArgumentParser
from torch import nn

from gan_lightning import networks
from gan_lightning.layers import sides
from gan_lightning.networks.base import AutoregressiveNetwork, TranslationNetwork
from gan_lightning.networks.discriminator import DiscriminatorOutput
from gan_lightning.networks.growing import Growing
from gan_lightning.networks.text_encoders import TextEncoder
from gan_lightning.recording import Network, describe, rebuild

# class, arguments, parameters that were published or counted on the authors' code
PUBLISHED = [
    ("InfoGANGenerator", {}, 6_652_481),
    ("InfoGANDiscriminator", {}, 6_558_144 + 1_025),  # the trunk that Q shares, and D's logit
    ("MLPGenerator", {}, 2_503_984),
    ("MLPDiscriminator", {}, 1_231_441),
    ("ConditionalMLPGenerator", {}, 2_413_984),
    ("ConditionalMLPDiscriminator", {}, 1_224_351),  # counted by hand: none was published
    ("DCGANGenerator", {}, 3_576_704),
    ("DCGANDiscriminator", {}, 2_765_568),
    ("ResidualGenerator", {}, 1_204_483),
    ("ResidualGenerator", {"width": 256}, 4_276_739),
    ("ResidualDiscriminator", {}, 1_053_825),
    ("SNResidualDiscriminator", {}, 1_053_824),
    ("SNResidualDiscriminator", {"num_classes": 10}, 1_055_104),
    ("ConditionalResidualGenerator", {"num_classes": 10}, 4_304_387),
    ("SNDCGANDiscriminator", {}, 2_935_873),
    ("SAGANGenerator", {"num_classes": 1000}, 42_078_852),  # counted by hand: none was published
    ("SAGANDiscriminator", {"num_classes": 1000}, 39_463_618),
    ("SAGANGenerator", {"num_classes": 1000, "attention": [64]}, 42_017_412),  # BigGAN's code, as SAGAN
    ("SAGANDiscriminator", {"num_classes": 1000, "attention": [64]}, 39_448_258),
    ("BigGANGenerator", {"num_classes": 1000}, 70_433_988),
    ("BigGANDiscriminator", {"num_classes": 1000}, 87_982_370),
    ("BigGANDiscriminator", {"num_classes": 1000, "image_size": 256}, 99_225_890),
    (
        "BigGANGenerator",
        {
            "latent_dim": 128,
            "image_size": 32,
            "width": 64,
            "num_classes": 10,
            "shared_dim": 0,
            "hierarchical": False,
            "attention": [],
        },
        4_304_387,
    ),
    ("BigGANDiscriminator", {"image_size": 32, "width": 64, "num_classes": 10, "attention": []}, 4_207_361),
    ("R3GANGenerator", {"num_classes": 10}, 20_781_952),
    ("R3GANDiscriminator", {"num_classes": 10}, 21_280_512),
    ("R3GANGenerator", {"image_size": 64}, 22_429_824),
    ("R3GANDiscriminator", {"image_size": 64}, 22_381_440),
    ("R3GANGenerator", {"image_size": 256}, 23_057_952),
    ("R3GANDiscriminator", {"image_size": 256}, 23_009_568),
    (
        "R3GANGenerator",
        {"image_size": 64, "width": 1536, "full_stages": 5, "group_width": 32, "num_classes": 1000},
        103_570_432,
    ),
    (
        "R3GANDiscriminator",
        {"image_size": 64, "width": 1536, "full_stages": 5, "group_width": 32, "num_classes": 1000},
        107_205_120,
    ),
    ("R3GANTranslator", {}, 1_981_824),  # ours
    ("ACGANGenerator", {}, 2_993_763),  # counted by hand: none was published
    ("ACGANDiscriminator", {}, 1_581_953),
    ("ProGANGenerator", {}, 23_079_115),  # printed by the authors' code, as the next three
    ("ProGANDiscriminator", {}, 23_087_249),
    ("StyleGANGenerator", {}, 26_219_627),
    ("StyleGANDiscriminator", {}, 23_087_249),
    ("MicroStyleGANGenerator", {}, 4_824_825),
    ("VAEEncoder", {}, 41_424),  # counted by hand: none was published
    ("VAEDecoder", {}, 674_113),
    ("VAEMLPEncoder", {}, 217_300),
    ("VAEMLPDecoder", {}, 207_984),
    ("VAEGANEncoder", {}, 18_071_360),
    ("VAEGANDecoder", {}, 4_693_155),
    ("VAEGANDiscriminator", {}, 10_953_857),
    ("StyleGAN2Generator", {"image_size": 1024}, 30_370_060),
    ("StyleGAN2Discriminator", {"image_size": 1024}, 29_012_513),
    ("LeNetClassifier", {}, 128_890),
    ("DomainClassifier", {}, 77_001),
    ("UNetGenerator", {}, 54_413_955),
    ("UNetGenerator", {"image_size": 128}, 41_828_995),
    ("SegmentationUNet", {}, 31_030_658),
    ("SegmentationUNet", {"in_channels": 3}, 31_031_810),
    ("PatchGAN", {}, 2_768_705),
    ("PatchGAN", {"in_channels": 3, "norm": "instance"}, 2_764_737),
    ("PatchGAN", {"in_channels": 3, "norm": "instance", "antialias": True}, 2_764_737),
    ("PatchGAN", {"receptive_field": 1}, 9_024),
    ("PatchGAN", {"receptive_field": 1, "in_channels": 3, "norm": "instance"}, 8_705),
    ("PatchGAN", {"receptive_field": 16}, 139_585),
    ("PatchGAN", {"receptive_field": 16, "in_channels": 3, "norm": "instance"}, 136_385),
    ("PatchGAN", {"receptive_field": 286}, 11_159_361),
    ("PatchGAN", {"receptive_field": 286, "in_channels": 3, "norm": "instance"}, 11_154_369),
    ("PatchGAN", {"in_channels": 39, "norm": "instance", "padding": 2}, 5_603_202 // 2),  # one scale of pix2pixHD's
    ("PatchGAN", {"in_channels": 154, "norm": "instance", "padding": 2, "spectral": True}, 2_918_465),  # SPADE's
    ("Pix2PixHDGenerator", {}, 182_546_755),
    ("Pix2PixHDGenerator", {"enhancers": 1}, 182_857_059),
    ("InstanceEncoder", {}, 788_803),
    ("SPADEGenerator", {}, 96_492_483),
    ("SPADEGenerator", {"num_classes": 183, "boundaries": True}, 97_480_899),
    ("SPADEGenerator", {"num_classes": 35, "boundaries": True, "doublings": 6}, 93_048_003),
    ("SPADEEncoder", {}, 10_463_424),
    ("SRResNetGenerator", {}, 1_549_462),
    ("RRDBGenerator", {}, 16_697_987),
    ("VGGDiscriminator", {}, 23_565_505),
    (
        "VGGDiscriminator",
        {"image_size": 128, "stages": 5, "kernel_size": 4, "hidden": 100, "bias": False},
        14_499_401,
    ),
    ("CartoonGenerator", {}, 11_129_667),  # about 11.13 M and 1.13 M, by the paper's figure 2
    ("CartoonDiscriminator", {}, 1_129_665),
    ("ResNetGenerator", {}, 11_378_179),
    ("ResNetGenerator", {"blocks": 6}, 7_837_699),
    ("ResNetGenerator", {"antialias": True}, 11_378_179),
    ("MUNITGenerator", {}, 15_026_187),
    ("MUNITDiscriminator", {}, 8_271_171),
    ("UNITGenerator", {}, 11_140_483),
    ("UNetGenerator", {"norm": "instance", "style_dim": 8}, 54_794_627),  # BicycleGAN, as the next two
    ("UNetGenerator", {"norm": "instance", "style_dim": 8, "style_at": "input"}, 54_417_795),
    ("BicycleEncoder", {}, 2_590_032),
    ("StarGANGenerator", {}, 8_430_528),
    ("StarGANDiscriminator", {}, 44_762_048),
    ("CoGANGenerator", {}, 7_842_694),
    ("CoGANDiscriminator", {}, 427_593),
    ("PixelCNNNetwork", {"levels": 2}, 82_882),  # counted by hand: none was published, as the next five
    ("GatedPixelCNNNetwork", {"levels": 2, "width": 128, "layers": 10, "hidden": 32}, 3_199_842),
    ("MADENetwork", {"hidden": [8000, 8000]}, 76_560_784),
    ("PixelCNNPlusPlusNetwork", {}, 53_659_080),
    ("VQAutoencoder", {}, 662_723),
    ("RealNVPNetwork", {}, 13_961_445),
    ("StackedGenerator", {}, 287_875),
    ("StackedDiscriminator", {}, 585),
    ("BiGANGenerator", {}, 1_953_792),
    ("BiGANEncoder", {}, 1_902_592),
    ("JointDiscriminator", {}, 1_903_616),
    ("AAEEncoder", {}, 785_000 + 1_001_000 + 8_008),
    ("AAEDecoder", {}, 9_000 + 1_001_000 + 784_784),
    ("CodeDiscriminator", {}, 9_000 + 1_001_000 + 1_001),
]

# small, and every argument other than its default, so that an argument lost on the way shows
UNUSUAL = [
    ("ThreeDGANGenerator", {"latent_dim": 7, "size": 16, "width": 3}),
    ("ThreeDGANDiscriminator", {"size": 16, "width": 3}),
    ("ThreeDVAEGANEncoder", {"latent_dim": 7, "image_size": 64, "channels": 2, "width": 3}),
    (
        "PixelCNNNetwork",
        {
            "image_size": [5, 6],
            "channels": 2,
            "levels": 4,
            "width": 4,
            "blocks": 1,
            "hidden": 9,
            "num_classes": 3,
            "embedding": 2,
        },
    ),
    (
        "GatedPixelCNNNetwork",
        {
            "image_size": [5, 6],
            "channels": 2,
            "levels": 4,
            "width": 4,
            "layers": 2,
            "kernel": 5,
            "hidden": 9,
            "num_classes": 3,
            "embedding": 2,
        },
    ),
    (
        "PixelCNNPlusPlusNetwork",
        {
            "image_size": [4, 8],
            "channels": 2,
            "levels": 5,
            "width": 4,
            "layers": 1,
            "components": 3,
            "dropout": 0.1,
            "num_classes": 3,
        },
    ),
    ("MADENetwork", {"image_size": [3, 4], "channels": 2, "levels": 4, "hidden": [9, 8], "num_classes": 3}),
    (
        "VQAutoencoder",
        {
            "channels": 2,
            "width": 4,
            "residual_layers": 1,
            "residual_width": 3,
            "codes": 5,
            "code_dim": 6,
            "decay": 0.9,
        },
    ),
    (
        "RealNVPNetwork",
        {"image_size": [4, 8], "channels": 2, "scales": 3, "width": 4, "blocks": 1, "levels": 4, "alpha": 0.1},
    ),
    ("StackedGenerator", {"latent_dim": 7, "channels": 2, "width": 3}),
    ("StackedDiscriminator", {"channels": 2, "width": 3, "norm": False}),
    ("BiGANGenerator", {"latent_dim": 7, "image_size": 12, "channels": 2, "hidden": 9}),
    ("BiGANEncoder", {"latent_dim": 7, "image_size": 12, "channels": 2, "hidden": 9}),
    ("JointDiscriminator", {"latent_dim": 7, "image_size": 12, "channels": 2, "hidden": 9, "norm": False}),
    ("AAEEncoder", {"latent_dim": 7, "image_size": 12, "channels": 2, "hidden": [9]}),
    ("AAEDecoder", {"latent_dim": 7, "image_size": 12, "channels": 2, "hidden": [9]}),
    ("CodeDiscriminator", {"latent_dim": 7, "hidden": [9]}),
    (
        "GANINTCLSGenerator",
        {"latent_dim": 7, "text_dim": 5, "image_size": 32, "channels": 2, "width": 4, "projection": 6}
        | {"upsampling": "nearest"},
    ),
    ("GANINTCLSDiscriminator", {"text_dim": 5, "image_size": 32, "channels": 2, "width": 4, "projection": 6}),
    (
        "StackGANStageOne",
        {"noise_dim": 7, "text_dim": 5, "condition_dim": 3, "image_size": 32, "channels": 2, "width": 4},
    ),
    ("StackGANStageTwo", {"condition_dim": 3, "enlargements": 1, "width": 4, "blocks": 1}),
    ("StackGANDiscriminator", {"text_dim": 5, "image_size": 128, "channels": 2, "width": 4, "projection": 6}),
    ("GRUTextEncoder", {"vocabulary": 9, "text_dim": 5, "width": 4}),
    ("TransformerTextEncoder", {"vocabulary": 9, "text_dim": 5, "width": 4, "length": 3, "layers": 1, "heads": 2}),
    ("StarGANGenerator", {"num_targets": 4, "in_channels": 2, "width": 4, "blocks": 1, "upsampling": "nearest"}),
    ("StarGANDiscriminator", {"num_targets": 4, "image_size": [16, 24], "in_channels": 2, "width": 4, "layers": 2}),
    ("CoGANGenerator", {"latent_dim": 7, "image_size": 20, "channels": 2, "width": 4, "num_classes": 3}),
    ("CoGANDiscriminator", {"image_size": 32, "channels": 2, "width": 4, "num_classes": 3}),
    (
        "AugmentedGenerator",
        {"in_channels": 2, "out_channels": 4, "width": 4, "blocks": 1, "style_dim": 5, "gain": 1.0}
        | {"upsampling": "bilinear"},
    ),
    ("AugmentedEncoder", {"channels": 5, "style_dim": 3, "image_size": 32, "width": 4}),
    ("LocalDiscriminator", {"channels": 2, "width": 4, "gain": 1.0}),
    ("WholeDiscriminator", {"image_size": 32, "channels": 2, "width": 4, "gain": 1.0}),
    ("StyleDiscriminator", {"style_dim": 5, "width": 4}),
    (
        "DilatedTranslator",
        {"in_channels": 2, "example_channels": 1, "width": 4, "dilations": [1, 3], "region": [0.0, 0.25, 0.5, 1.0]},
    ),
    (
        "ApplyingTranslator",
        {"in_channels": 2, "example_channels": 1, "width": 4, "dilations": [1, 3], "region": [0.0, 0.25, 0.5, 1.0]},
    ),
    ("SeamlessPaste", {"region": [0.25, 0.25, 0.75, 0.5]}),
    ("Bicubic", {"channels": 2, "scale": 2}),
    ("CartoonGenerator", {"in_channels": 2, "out_channels": 5, "width": 4, "blocks": 2, "init": "xavier"}),
    ("CartoonGenerator", {"width": 4, "blocks": 1, "upsampling": "nearest"}),
    ("CartoonDiscriminator", {"in_channels": 2, "width": 4, "init": "xavier"}),
    ("RRDBGenerator", {"channels": 2, "width": 4, "growth": 3, "blocks": 1, "scale": 2}),
    (
        "SRResNetGenerator",
        {"channels": 2, "width": 4, "blocks": 2, "scale": 2, "norm": "none", "skip": "bicubic"},
    ),
    (
        "VGGDiscriminator",
        {
            "image_size": 24,
            "channels": 2,
            "width": 4,
            "stages": 3,
            "kernel_size": 4,
            "hidden": 9,
            "bias": False,
        },
    ),
    ("BEGANGenerator", {"latent_dim": 7, "image_size": 16, "channels": 2, "width": 4, "num_classes": 5}),
    ("BEGANAutoencoder", {"code_dim": 7, "image_size": 16, "channels": 2, "width": 4}),
    ("DCGANAutoencoder", {"code_dim": 7, "image_size": 16, "channels": 2, "width": 4}),
    ("InfoGANGenerator", {"latent_dim": 7, "image_size": 12, "channels": 2, "hidden": 9, "width": 4, "num_classes": 5}),
    ("InfoGANDiscriminator", {"image_size": 12, "channels": 2, "hidden": 9, "width": 4}),
    ("MLPGenerator", {"latent_dim": 7, "image_size": 6, "channels": 2, "hidden": [9, 8, 5], "num_classes": 3}),
    (
        "MLPDiscriminator",
        {
            "image_size": 6,
            "channels": 2,
            "hidden": [5],
            "pieces": 2,
            "input_dropout": 0.1,
            "dropout": 0.3,
            "num_classes": 3,
        },
    ),
    ("ConditionalMLPGenerator", {"num_classes": 3, "latent_dim": 7, "image_size": 6, "channels": 2, "joint_units": 9}),
    ("ConditionalMLPDiscriminator", {"num_classes": 3, "image_size": 6, "channels": 2, "label_units": 4}),
    ("DCGANGenerator", {"latent_dim": 7, "image_size": 32, "channels": 4, "width": 4, "num_classes": 5}),
    ("DCGANDiscriminator", {"image_size": 16, "channels": 1, "width": 4, "num_classes": 5, "norm": "layer"}),
    ("DCGANGenerator", {"latent_dim": 7, "image_size": 16, "channels": 1, "width": 4, "upsampling": "bilinear"}),
    ("SoftplusGenerator", {"latent_dim": 7, "image_size": 6, "channels": 2, "hidden": [9, 8], "num_classes": 3}),
    (
        "NoisyDiscriminator",
        {"image_size": 6, "channels": 2, "hidden": [9, 8], "input_noise": 0.1, "noise": 0.2, "num_classes": 3},
    ),
    ("ResidualGenerator", {"latent_dim": 7, "image_size": 16, "channels": 4, "width": 4, "num_classes": 5}),
    ("ResidualDiscriminator", {"image_size": 64, "channels": 1, "width": 4, "num_classes": 5}),
    (
        "ConditionalResidualGenerator",
        {"num_classes": 5, "latent_dim": 7, "image_size": 16, "channels": 4, "width": 4},
    ),
    ("SNResidualDiscriminator", {"image_size": 64, "channels": 1, "width": 4, "num_classes": 5}),
    ("SNDCGANDiscriminator", {"image_size": 16, "channels": 1, "width": 4}),
    (
        "SAGANGenerator",
        {"latent_dim": 7, "image_size": 16, "channels": 4, "width": 4, "num_classes": 5, "attention": [8]},
    ),
    (
        "SAGANDiscriminator",
        {"image_size": 64, "channels": 1, "width": 4, "num_classes": 5, "attention": [32, 8]},
    ),
    (
        "BigGANGenerator",
        {
            "latent_dim": 6,
            "image_size": 16,
            "channels": 4,
            "width": 4,
            "num_classes": 5,
            "shared_dim": 3,
            "attention": [8],
            "init": "normal",
        },
    ),
    (
        "BigGANGenerator",
        {
            "latent_dim": 7,
            "image_size": 16,
            "channels": 4,
            "width": 4,
            "num_classes": 5,
            "shared_dim": 0,
            "hierarchical": False,
            "attention": [],
            "init": "xavier",
        },
    ),
    (
        "BigGANDiscriminator",
        {"image_size": 16, "channels": 1, "width": 4, "num_classes": 5, "attention": [8], "init": "normal"},
    ),
    (
        "R3GANGenerator",
        {
            "latent_dim": 7,
            "image_size": 16,
            "channels": 4,
            "width": 8,
            "full_stages": 2,
            "blocks": 1,
            "expansion": 3,
            "group_width": 4,
            "num_classes": 5,
        },
    ),
    (
        "R3GANDiscriminator",
        {
            "image_size": 16,
            "channels": 1,
            "width": 8,
            "full_stages": 2,
            "blocks": 1,
            "expansion": 3,
            "group_width": 4,
            "num_classes": 5,
        },
    ),
    (
        "R3GANTranslator",
        {
            "in_channels": 1,
            "out_channels": 4,
            "width": 4,
            "depth": 1,
            "blocks": 1,
            "expansion": 3,
            "group_width": 4,
        },
    ),
    ("ACGANGenerator", {"latent_dim": 7, "image_size": 16, "channels": 4, "width": 4, "num_classes": 5}),
    ("ACGANDiscriminator", {"image_size": 64, "channels": 1, "width": 4, "dropout": 0.1}),
    (
        "ProGANGenerator",
        {"latent_dim": 7, "image_size": [16, 24], "channels": 2, "width": 4, "capacity": 12, "num_classes": 3},
    ),
    (
        "ProGANDiscriminator",
        {"image_size": [16, 24], "channels": 2, "width": 4, "capacity": 12, "group_size": 2},
    ),
    (
        "StyleGANGenerator",
        {
            "latent_dim": 7,
            "style_dim": 5,
            "image_size": [16, 24],
            "channels": 2,
            "width": 4,
            "capacity": 12,
            "mapping_layers": 2,
            "mapping_rate": 0.1,
            "style_mixing": 0.5,
            "mean_decay": 0.9,
            "num_classes": 3,
        },
    ),
    (
        "StyleGANDiscriminator",
        {"image_size": [16, 24], "channels": 2, "width": 4, "capacity": 12, "group_size": 2},
    ),
    (
        "MicroStyleGANGenerator",
        {
            "latent_dim": 7,
            "hidden_dim": 6,
            "style_dim": 5,
            "image_size": [16, 24],
            "channels": 2,
            "constant_channels": 3,
            "width": 4,
            "style_mixing": 0.5,
            "mean_decay": 0.9,
        },
    ),
    ("VAEEncoder", {"latent_dim": 7, "channels": 2, "width": 4}),
    ("VAEDecoder", {"latent_dim": 7, "channels": 2, "width": 4}),
    ("VAEMLPEncoder", {"latent_dim": 7, "image_size": 8, "channels": 2, "hidden": [5]}),
    ("VAEMLPDecoder", {"latent_dim": 7, "image_size": 8, "channels": 2, "hidden": [5]}),
    ("VAEGANEncoder", {"latent_dim": 7, "image_size": 24, "channels": 2, "width": 4, "hidden": 9}),
    ("VAEGANDecoder", {"latent_dim": 7, "image_size": 24, "channels": 2, "width": 4}),
    ("VAEGANDiscriminator", {"image_size": 24, "channels": 2, "width": 4, "hidden": 9}),
    ("LeNetClassifier", {"image_size": 16, "channels": 1, "widths": [4, 6], "hidden": [9, 8], "classes": 3}),
    ("DomainClassifier", {"num_features": 7, "hidden": [9, 8]}),
    ("UNetGenerator", {"in_channels": 1, "out_channels": 4, "image_size": 32, "width": 4, "dropout": 0.1}),
    ("UNetGenerator", {"image_size": 32, "width": 4, "norm": "instance"}),
    (
        "SegmentationUNet",
        {"in_channels": 2, "classes": 3, "width": 4, "depth": 3, "padded": True, "norm": "batch", "dropout": 0.1},
    ),
    (
        "PatchGAN",
        {
            "in_channels": 2,
            "width": 4,
            "receptive_field": 34,
            "norm": "none",
            "antialias": True,
            "init": "xavier",
            "padding": 2,
            "spectral": True,
        },
    ),
    ("MultiScale", {"scales": 2, "widths": [4, 5]}),
    ("HeadEmbedder", {"image_size": [16, 24], "channels": 4, "width": 4, "max_width": 6, "attention": [8]}),
    (
        "TalkingHeadGenerator",
        {
            "image_size": 32,
            "width": 4,
            "max_width": 6,
            "depth": 2,
            "blocks": 1,
            "down_attention": [16],
            "up_attention": [16],
        },
    ),
    (
        "PersonalHeadGenerator",
        {
            "in_channels": 1,
            "out_channels": 4,
            "image_size": 32,
            "width": 4,
            "max_width": 6,
            "depth": 2,
            "blocks": 1,
            "down_attention": [8],
            "up_attention": [32],
        },
    ),
    (
        "HeadDiscriminator",
        {"image_size": 16, "channels": 4, "width": 4, "max_width": 6, "num_classes": 3, "attention": [8]},
    ),
    (
        "Pix2PixHDGenerator",
        {
            "num_classes": 3,
            "boundaries": False,
            "out_channels": 2,
            "width": 8,
            "halvings": 2,
            "blocks": 1,
            "enhancers": 2,
            "enhancer_blocks": 1,
            "features": 2,
            "clusters": 4,
            "upsampling": "nearest",
        },
    ),
    ("InstanceEncoder", {"in_channels": 2, "features": 1, "width": 2, "halvings": 2}),
    (
        "SPADEGenerator",
        {
            "num_classes": 3,
            "boundaries": True,
            "out_channels": 1,
            "width": 2,
            "hidden": 4,
            "doublings": 7,
            "image_size": 128,
        },
    ),
    ("SPADEEncoder", {"style_dim": 5, "in_channels": 2, "image_size": 16, "width": 2}),
    (
        "ResNetGenerator",
        {"in_channels": 1, "out_channels": 4, "width": 4, "blocks": 2, "antialias": True, "init": "xavier"},
    ),
    (
        "UNetGenerator",
        {"image_size": 32, "width": 4, "style_dim": 3, "style_at": "input", "init": "xavier"}
        | {"upsampling": "bilinear"},
    ),
    (
        "MUNITGenerator",
        {"in_channels": 1, "out_channels": 4, "width": 4, "blocks": 2, "style_dim": 3, "hidden": 9},
    ),
    ("MUNITDiscriminator", {"in_channels": 2, "width": 4, "layers": 2, "scales": 2}),
    ("UNITGenerator", {"in_channels": 1, "out_channels": 4, "width": 4, "blocks": 3, "shared": 2}),
    ("BicycleEncoder", {"in_channels": 2, "width": 4, "blocks": 2, "style_dim": 3, "init": "normal"}),
    (
        "StyleGAN2Generator",
        {
            "latent_dim": 7,
            "style_dim": 5,
            "image_size": 16,
            "channels": 2,
            "channel_base": 64,
            "channel_max": 9,
            "num_classes": 3,
            "mapping_layers": 2,
            "style_mixing": 0.5,
        },
    ),
    (
        "StyleGAN2Discriminator",
        {
            "image_size": 16,
            "channels": 2,
            "channel_base": 64,
            "channel_max": 9,
            "num_classes": 3,
            "group_size": 2,
            "residual": False,
            "mapping_layers": 2,
        },
    ),
]

# what 16x16 images need beside their size
FOR_SMALL = {
    "SAGANDiscriminator": {"attention": [8], "width": 8},
    "BigGANDiscriminator": {"attention": [8], "width": 8},
    "R3GANDiscriminator": {"width": 16},
}

# what the networks take that neither make images from z nor take images of the size among their arguments
INPUTS = {
    "ThreeDGANDiscriminator": (2, 1, 16, 16, 16),
    "ThreeDVAEGANEncoder": (2, 2, 64, 64),
    "StackedDiscriminator": (2, 2, 28, 28),
    "BiGANEncoder": (2, 2, 12, 12),
    "JointDiscriminator": (2, 2, 12, 12),
    "AAEEncoder": (2, 2, 12, 12),
    "VAEEncoder": (2, 2, 28, 28),
    "VAEMLPEncoder": (2, 2, 8, 8),
    "VAEGANEncoder": (2, 2, 24, 24),
    "DomainClassifier": (2, 7),
    "MultiScale": (2, 6, 48, 48),
    "SPADEGenerator": (2, 1, 128, 256),
    "AugmentedEncoder": (2, 3, 32, 32),
    "StyleDiscriminator": (2, 5),
    "RealNVPNetwork": (2, 64),
    "StackGANStageOne": (2, 7 + 3),
    "StackGANStageTwo": (2, 100 + 128 + 3),
}

# further inputs of those that take several: of features or styles, and label maps
FURTHER = {
    "JointDiscriminator": (2, 7),
    "Pix2PixHDGenerator": (2, 2, 32, 32),
    "InstanceEncoder": (2, 1, 32, 32),
    "StarGANGenerator": (2, 4),
    "AugmentedEncoder": (2, 2, 32, 32),
    "DilatedTranslator": (2, 1, 32, 32),
    "SeamlessPaste": (2, 3, 32, 32),
    "GANINTCLSGenerator": (2, 5),
    "GANINTCLSDiscriminator": (2, 5),
    "StackGANStageOne": (2, 5),
    "StackGANStageTwo": (2, 1024),
    "StackGANDiscriminator": (2, 5),
}


def valid_input(net: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """Integer levels for a network of them; what is given, for all others."""
    if isinstance(net, AutoregressiveNetwork):
        return torch.randint(net.levels, x.shape, device=x.device)
    return x.requires_grad_()  # for a network with nothing to learn


def count(net: nn.Module) -> int:
    return sum(p.numel() for p in net.parameters())


def from_yaml(class_path: str, init_args: dict) -> nn.Module:
    parser = ArgumentParser(exit_on_error=False)
    parser.add_subclass_arguments(nn.Module, "net")
    config = parser.parse_object({"net": {"class_path": class_path, "init_args": init_args}})
    return parser.instantiate(config).net


def test_every_network_is_here():
    assert {name for name, _ in UNUSUAL} == set(networks.__all__)
    assert all(issubclass(getattr(networks, name), Network) for name in networks.__all__)


@pytest.mark.parametrize(("name", "arguments", "expected"), PUBLISHED)
def test_published_parameter_counts(name, arguments, expected):
    with torch.device("meta"):
        assert count(getattr(networks, name)(**arguments)) == expected


@pytest.mark.parametrize(("name", "arguments"), UNUSUAL)
def test_yaml_builds_the_same_network(name, arguments):
    built = from_yaml(f"gan_lightning.networks.{name}", arguments)
    direct = getattr(networks, name)(**arguments)
    assert {k: v.shape for k, v in built.state_dict().items()} == {k: v.shape for k, v in direct.state_dict().items()}
    assert repr(built) == repr(direct)


@pytest.mark.parametrize(("name", "arguments"), UNUSUAL)
def test_described_in_plain_data_and_rebuilt_from_it(name, arguments):
    net = getattr(networks, name)(**arguments)
    said = describe(net)
    assert said["init_args"] == arguments
    rebuilt = from_yaml(said["class_path"], said["init_args"])
    assert type(rebuilt) is type(net)
    rebuilt.load_state_dict(net.state_dict())


@pytest.mark.parametrize(("name", "arguments"), UNUSUAL)
def test_all_parameters_learn(name, arguments):
    net = getattr(networks, name)(**arguments).eval()
    labels = torch.tensor([0, 2]) if "num_classes" in arguments and not hasattr(net, "planes") else None
    if name in INPUTS:
        x = torch.randn(INPUTS[name])
    elif "latent_dim" in arguments:
        x = torch.randn(2, arguments["latent_dim"])
    else:
        channels = arguments.get("in_channels", arguments.get("channels", 3))
        size = arguments.get("image_size", 32)
        x = torch.randn(2, 1 if hasattr(net, "planes") else channels, *sides(size))
    x = torch.tensor([[2, 3, 8], [4, 0, 0]]) if isinstance(net, TextEncoder) else valid_input(net, x)
    parts = [part for part in net.modules() if isinstance(part, Growing)]
    for level in range(len(parts[0].sizes) if parts else 1):
        for part in parts:
            part.level, part.alpha = level, 1.0
        more = [] if labels is None else [labels]
        if name in FURTHER:
            more = [torch.randn(FURTHER[name])]
        elif hasattr(net, "encode_style"):
            more = [net.encode_style(torch.randn(2, net.example_channels, 32, 32))]
        elif isinstance(net, TranslationNetwork) and net.style_dim:
            more = [torch.randn(2, net.style_dim)]
        out = net(x, *more)
        outputs = out if isinstance(out, tuple) else [out]
        if isinstance(out, DiscriminatorOutput):
            outputs = [*out.logits, *([] if out.class_logits is None else [out.class_logits])]
        torch.stack([each.square().sum() for each in outputs]).sum().backward()
    learning = [p for p in net.parameters() if p.requires_grad]
    assert all(p.grad is not None and p.grad.isfinite().all() for p in learning)


@pytest.mark.parametrize(
    ("name", "images"),
    [
        ("MLPDiscriminator", (2, 1, 32, 32)),
        ("ConditionalMLPDiscriminator", (2, 3, 28, 28)),
        ("DCGANDiscriminator", (2, 3, 64, 32)),
        ("ResidualDiscriminator", (2, 1, 32, 32)),
        ("SNResidualDiscriminator", (2, 1, 32, 32)),
        ("SNDCGANDiscriminator", (2, 3, 32, 16)),
        ("SAGANDiscriminator", (2, 3, 128, 64)),
        ("BigGANDiscriminator", (2, 1, 128, 128)),
        ("R3GANDiscriminator", (2, 3, 32, 16)),
        ("R3GANTranslator", (2, 3, 32, 18)),
        ("ACGANDiscriminator", (2, 1, 32, 32)),
        ("ProGANDiscriminator", (2, 3, 512, 1024)),
        ("StyleGANDiscriminator", (2, 1, 1024, 1024)),
        ("StyleGAN2Discriminator", (2, 3, 256, 128)),
        ("UNetGenerator", (2, 3, 256, 128)),
        ("SegmentationUNet", (2, 1, 512, 512)),
        ("SegmentationUNet", (2, 3, 572, 572)),
        ("PatchGAN", (2, 3, 64, 64)),
        ("PatchGAN", (2, 6, 23, 64)),
        ("HeadEmbedder", (2, 6, 128, 128)),
        ("HeadDiscriminator", (2, 3, 256, 256)),
        ("PersonalHeadGenerator", (2, 3, 256, 250)),
        ("MultiScale", (2, 6, 92, 93)),
        ("SRResNetGenerator", (2, 1, 8, 8)),
        ("RRDBGenerator", (2, 1, 8, 8)),
        ("VGGDiscriminator", (2, 1, 96, 96)),
        ("VGGDiscriminator", (2, 3, 96, 15)),
        ("ResNetGenerator", (2, 3, 64, 66)),
        ("ResNetGenerator", (2, 1, 64, 64)),
        ("ResNetGenerator", (2, 3, 64, 4)),
    ],
)
def test_images_that_a_network_cannot_take(name, images):
    with torch.device("meta"):
        net = getattr(networks, name)()
        with pytest.raises(ValueError, match=r"images of shape \(N.*not \(2, .*resize"):
            net(torch.empty(images))


@pytest.mark.parametrize(
    "name",
    [
        "MLPGenerator",
        "ConditionalMLPGenerator",
        "DCGANGenerator",
        "ResidualGenerator",
        "ACGANGenerator",
        "ProGANGenerator",
        "StyleGANGenerator",
        "MicroStyleGANGenerator",
        "SAGANGenerator",
        "R3GANGenerator",
    ],
)
def test_latents_that_a_generator_cannot_take(name):
    with torch.device("meta"):
        net = getattr(networks, name)(latent_dim=16)
        for shape in ((2, 15), (2, 16, 1, 1)):
            with pytest.raises(ValueError, match=r"z of shape \(N, 16\)"):
                net(torch.empty(shape))


OF_LABEL_MAPS = ("Pix2PixHDGenerator", "SPADEGenerator")
OF_DOMAINS = ("CoGANGenerator", "CoGANDiscriminator")  # which always have two at least
CONDITIONAL = [
    (name, arguments)
    for name, arguments in UNUSUAL
    if "num_classes" in arguments and name not in (*OF_LABEL_MAPS, *OF_DOMAINS)
]


@pytest.mark.parametrize(("name", "arguments"), CONDITIONAL)
def test_conditional_networks_need_labels_and_depend_on_them(name, arguments):
    torch.manual_seed(0)
    net = getattr(networks, name)(**arguments).eval()
    with torch.no_grad():  # for conditional batch norm, which starts the same for all classes
        for p in net.parameters():
            p.add_(0.1 * torch.randn_like(p))
    if "latent_dim" in arguments:
        x = torch.randn(1, arguments["latent_dim"])
    else:
        x = torch.randn(1, arguments["channels"], *sides(arguments["image_size"]))
    x = valid_input(net, x)
    with pytest.raises(ValueError, match="no labels"):
        net(x)
    assert not torch.equal(net(x, torch.tensor([0])), net(x, torch.tensor([1])))


@pytest.mark.parametrize(("name", "arguments"), [item for item in CONDITIONAL if "Conditional" not in item[0]])
def test_unconditional_networks_take_no_labels(name, arguments):
    with torch.device("meta"):
        net = getattr(networks, name)(**arguments | {"num_classes": 0})
        if "latent_dim" in arguments:
            x = torch.empty(2, arguments["latent_dim"])
        else:
            x = torch.empty(2, arguments["channels"], *sides(arguments["image_size"]))
        x = valid_input(net, x)
        assert net(x, None).shape[0] == 2
        with pytest.raises(ValueError, match="unconditional"):
            net(x, torch.empty(2, dtype=torch.int64))


@pytest.mark.parametrize(
    "name",
    [
        "DCGANDiscriminator",
        "MLPDiscriminator",
        "ResidualDiscriminator",
        "SNResidualDiscriminator",
        "SNDCGANDiscriminator",
        "ACGANDiscriminator",
        "ProGANDiscriminator",
        "StyleGANDiscriminator",
        "VAEGANDiscriminator",
        "VGGDiscriminator",
        "StyleGAN2Discriminator",
        "SAGANDiscriminator",
        "BigGANDiscriminator",
        "R3GANDiscriminator",
    ],
)
def test_a_discriminator_is_a_head_on_features_and_any_head_can_be_given(name):
    network = functools.partial(getattr(networks, name), **FOR_SMALL.get(name, {}))
    plain = network(image_size=16).eval()
    images = torch.randn(3, *plain.image_shape)
    features = plain.features(images)
    assert features.shape == (3, plain.num_features)
    assert torch.equal(plain(images), plain.head(features).flatten())
    head = functools.partial(nn.Linear, out_features=1, bias=False)
    other = network(image_size=16, head=head)
    assert (other.head.in_features, other.head.bias) == (plain.num_features, None)
    again = rebuild(describe(other), ("gan_lightning", "torch"))
    assert count(again) == count(other)
    from_file = from_yaml(
        f"gan_lightning.networks.{name}",
        {
            "image_size": 16,
            "head": {"class_path": "torch.nn.Linear", "init_args": {"out_features": 1, "bias": False}},
            **FOR_SMALL.get(name, {}),
        },
    )
    assert count(from_file) == count(other)
    assert describe(from_file) == describe(rebuild(describe(from_file), ("gan_lightning", "torch")))
