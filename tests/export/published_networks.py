"""The generators of other projects, rebuilt from plain layers under the names of their published files."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ResidualBlock(nn.Module):
    """Of pytorch-CycleGAN-and-pix2pix and of CUT."""

    def __init__(self, channels: int, dropout: bool) -> None:
        super().__init__()
        half = [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels)]
        other = [nn.ReflectionPad2d(1), nn.Conv2d(channels, channels, 3), nn.InstanceNorm2d(channels)]
        self.conv_block = nn.Sequential(*half, nn.ReLU(), *([nn.Dropout(0.5)] if dropout else []), *other)

    def forward(self, x: Tensor) -> Tensor:
        return x + self.conv_block(x)


class Blur(nn.Module):
    """CUT's Downsample: an average with weights 1, 2, 1 before every second pixel is left out."""

    filt: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        kernel = torch.tensor([[1.0, 2, 1], [2, 4, 2], [1, 2, 1]]) / 16
        self.register_buffer("filt", kernel.repeat(channels, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        return F.conv2d(F.pad(x, (1, 1, 1, 1), mode="reflect"), self.filt, stride=2, groups=x.shape[1])


class Doubling(nn.Module):
    """CUT's Upsample: a transposed convolution with the weights 1, 3, 3, 1, on repeated borders, which are cut off."""

    filt: Tensor

    def __init__(self, channels: int) -> None:
        super().__init__()
        kernel = torch.tensor([1.0, 3, 3, 1])
        self.register_buffer("filt", (kernel.outer(kernel) / 16).repeat(channels, 1, 1, 1))

    def forward(self, x: Tensor) -> Tensor:
        padded = F.pad(x, (1, 1, 1, 1), mode="replicate")
        return F.conv_transpose2d(padded, self.filt, stride=2, padding=2, groups=x.shape[1])[:, :, 1:-1, 1:-1]


class ResNet(nn.Module):
    """The generator of CycleGAN; of CUT with `filters`."""

    def __init__(self, width: int = 4, blocks: int = 6, dropout: bool = False, filters: bool = False) -> None:
        super().__init__()
        layers: list[nn.Module] = [nn.ReflectionPad2d(3), nn.Conv2d(3, width, 7), nn.InstanceNorm2d(width), nn.ReLU()]
        for n in (width, 2 * width):
            layers += [nn.Conv2d(n, 2 * n, 3, stride=1 if filters else 2, padding=1)]
            layers += [nn.InstanceNorm2d(2 * n), nn.ReLU(), *([Blur(2 * n)] if filters else [])]
        layers += [ResidualBlock(4 * width, dropout) for _ in range(blocks)]
        for n in (4 * width, 2 * width):
            if filters:
                layers += [Doubling(n), nn.Conv2d(n, n // 2, 3, padding=1)]
            else:
                layers += [nn.ConvTranspose2d(n, n // 2, 3, stride=2, padding=1, output_padding=1)]
            layers += [nn.InstanceNorm2d(n // 2), nn.ReLU()]
        self.model = nn.Sequential(*layers, nn.ReflectionPad2d(3), nn.Conv2d(width, 3, 7), nn.Tanh())

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class Level(nn.Module):
    """A level of pix2pix's U-Net, with the next one inside it."""

    def __init__(
        self,
        outer: int,
        inner: int,
        inside: "Level | None",
        top: int = 0,
        batch_norm: bool = True,
        dropout: bool = False,
    ) -> None:
        super().__init__()
        self.top = top

        def norm(n: int) -> nn.Module:
            return nn.BatchNorm2d(n) if batch_norm else nn.InstanceNorm2d(n)

        bias, within = not batch_norm, 1 if inside is None else 2
        down = nn.Conv2d(top or outer, inner, 4, stride=2, padding=1, bias=bias)
        up = nn.ConvTranspose2d(within * inner, outer, 4, stride=2, padding=1, bias=bias or bool(top))
        layers: list[nn.Module]
        if inside is None:
            layers = [nn.LeakyReLU(0.2), down, nn.ReLU(), up, norm(outer)]
        elif top:
            layers = [down, inside, nn.ReLU(), up, nn.Tanh()]
        else:
            layers = [nn.LeakyReLU(0.2), down, norm(inner), inside, nn.ReLU(), up, norm(outer)]
            layers += [nn.Dropout(0.5)] if dropout else []
        self.model = nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x) if self.top else torch.cat([x, self.model(x)], dim=1)


class UNet(nn.Module):
    """The generator of pix2pix; `depth` is 8 for 256×256 and 7 for 128×128."""

    def __init__(self, depth: int = 6, width: int = 4, batch_norm: bool = True, dropout: bool = True) -> None:
        super().__init__()
        level = Level(8 * width, 8 * width, None, batch_norm=batch_norm)
        for _ in range(depth - 5):
            level = Level(8 * width, 8 * width, level, batch_norm=batch_norm, dropout=dropout)
        for factor in (4, 2, 1):
            level = Level(factor * width, 2 * factor * width, level, batch_norm=batch_norm)
        self.model = Level(3, width, level, top=3, batch_norm=batch_norm)

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class Dense(nn.Module):
    """ESRGAN's dense block; the oldest files have each convolution in a Sequential with its activation."""

    def __init__(self, width: int, growth: int, wrapped: bool) -> None:
        super().__init__()
        for i in range(5):
            conv = nn.Conv2d(width + i * growth, growth if i < 4 else width, 3, padding=1)
            setattr(self, f"conv{i + 1}", nn.Sequential(conv) if wrapped else conv)

    def forward(self, x: Tensor) -> Tensor:
        seen = [x]
        for i in range(1, 5):
            seen.append(F.leaky_relu(getattr(self, f"conv{i}")(torch.cat(seen, dim=1)), 0.2))
        return x + 0.2 * getattr(self, "conv5")(torch.cat(seen, dim=1))  # noqa: B009


class Residual(nn.Module):
    """Three dense blocks, named RDB1 to RDB3 or rdb1 to rdb3."""

    def __init__(self, width: int, growth: int, name: str, wrapped: bool = False) -> None:
        super().__init__()
        self.names = [f"{name}{i}" for i in (1, 2, 3)]
        for each in self.names:
            self.add_module(each, Dense(width, growth, wrapped))

    def forward(self, x: Tensor) -> Tensor:
        made = x
        for each in self.names:
            made = getattr(self, each)(made)
        return x + 0.2 * made


class RRDBNet(nn.Module):
    """xinntao/ESRGAN's; with `basicsr`, BasicSR's and Real-ESRGAN's. From images in [0, 1] to images in [0, 1]."""

    def __init__(self, width: int = 6, growth: int = 3, blocks: int = 2, basicsr: bool = False, taken: int = 3) -> None:
        super().__init__()
        names = (
            "body conv_body conv_up1 conv_up2 conv_hr" if basicsr else "RRDB_trunk trunk_conv upconv1 upconv2 HRconv"
        )
        self.names = names.split()
        self.conv_first = nn.Conv2d(taken, width, 3, padding=1)
        trunk = nn.Sequential(*(Residual(width, growth, "rdb" if basicsr else "RDB") for _ in range(blocks)))
        self.add_module(self.names[0], trunk)
        for name in self.names[1:]:
            self.add_module(name, nn.Conv2d(width, width, 3, padding=1))
        self.conv_last = nn.Conv2d(width, 3, 3, padding=1)

    def forward(self, x: Tensor) -> Tensor:
        trunk, conv, up1, up2, hr = (getattr(self, name) for name in self.names)
        x = self.conv_first(x)
        x = x + conv(trunk(x))
        for up in (up1, up2):
            x = F.leaky_relu(up(F.interpolate(x, scale_factor=2, mode="nearest")), 0.2)
        return self.conv_last(F.leaky_relu(hr(x), 0.2))


class Shortcut(nn.Module):
    """Adds the output of `sub` to its input."""

    def __init__(self, sub: nn.Module) -> None:
        super().__init__()
        self.sub = sub

    def forward(self, x: Tensor) -> Tensor:
        return x + self.sub(x)


class OldRRDBNet(nn.Module):
    """ESRGAN's first files: all layers in one Sequential."""

    def __init__(self, width: int = 6, growth: int = 3, blocks: int = 2, doublings: int = 2) -> None:
        super().__init__()

        def conv(outputs: int) -> nn.Module:
            return nn.Conv2d(width, outputs, 3, padding=1)

        blocks_of = [Residual(width, growth, "RDB", wrapped=True) for _ in range(blocks)]
        layers: list[nn.Module] = [nn.Conv2d(3, width, 3, padding=1), Shortcut(nn.Sequential(*blocks_of, conv(width)))]
        for _ in range(doublings):
            layers += [nn.Upsample(scale_factor=2), conv(width), nn.LeakyReLU(0.2)]
        self.model = nn.Sequential(*layers, conv(width), nn.LeakyReLU(0.2), conv(3))

    def forward(self, x: Tensor) -> Tensor:
        return self.model(x)


class Rcb(nn.Module):
    """SRGAN-PyTorch's residual block."""

    def __init__(self, width: int) -> None:
        super().__init__()
        convs = [nn.Conv2d(width, width, 3, padding=1, bias=False) for _ in range(2)]
        self.rcb = nn.Sequential(convs[0], nn.BatchNorm2d(width), nn.PReLU(), convs[1], nn.BatchNorm2d(width))

    def forward(self, x: Tensor) -> Tensor:
        return x + self.rcb(x)


class UpsampleBlock(nn.Module):
    """SRGAN-PyTorch's sub-pixel convolution."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.upsample_block = nn.Sequential(nn.Conv2d(width, 4 * width, 3, padding=1), nn.PixelShuffle(2), nn.PReLU())

    def forward(self, x: Tensor) -> Tensor:
        return self.upsample_block(x)


class SRResNet(nn.Module):
    """SRGAN-PyTorch's, whose convolutions were once conv_block1 to 3. From images in [0, 1] to images in [0, 1]."""

    def __init__(self, width: int = 6, blocks: int = 3, doublings: int = 2, name: str = "conv") -> None:
        super().__init__()
        self.name = name
        self.add_module(f"{name}1", nn.Sequential(nn.Conv2d(3, width, 9, padding=4), nn.PReLU()))
        self.trunk = nn.Sequential(*(Rcb(width) for _ in range(blocks)))
        middle = nn.Sequential(nn.Conv2d(width, width, 3, padding=1, bias=False), nn.BatchNorm2d(width))
        self.add_module(f"{name}2", middle)
        self.upsampling = nn.Sequential(*(UpsampleBlock(width) for _ in range(doublings)))
        self.add_module(f"{name}3", nn.Conv2d(width, 3, 9, padding=4))

    def forward(self, x: Tensor) -> Tensor:
        first, middle, last = (getattr(self, f"{self.name}{i}") for i in (1, 2, 3))
        x = first(x)
        return last(self.upsampling(x + middle(self.trunk(x)))).clamp(0, 1)


class DCGAN(nn.Module):
    """The generator of PyTorch's example."""

    def __init__(self, latent_dim: int = 7, width: int = 4, size: int = 32) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        inputs, outputs = latent_dim, width * size // 8
        while outputs >= width:
            stride, padding = (2, 1) if layers else (1, 0)
            conv = nn.ConvTranspose2d(inputs, outputs, 4, stride=stride, padding=padding, bias=False)
            layers += [conv, nn.BatchNorm2d(outputs), nn.ReLU()]
            inputs, outputs = outputs, outputs // 2
        last = nn.ConvTranspose2d(width, 3, 4, stride=2, padding=1, bias=False)
        self.main = nn.Sequential(*layers, last, nn.Tanh())

    def forward(self, z: Tensor) -> Tensor:
        return self.main(z[:, :, None, None])
