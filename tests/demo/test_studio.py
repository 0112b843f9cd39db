from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from io import BytesIO
from pathlib import Path

import pytest
import torch
from PIL import Image
from torchvision.transforms.functional import pil_to_tensor

from gan_lightning.cli.commands import main
from gan_lightning.demo.settings import Settings
from gan_lightning.demo.studio import PAINTED, Studio, png
from gan_lightning.export import load
from gan_lightning.inference import ImageName, LatentSampler
from gan_lightning.latent import LatentSpace, factorise
from toys import StyledGenerator, ToyGenerator, read_png


@pytest.fixture
def styled() -> Studio:
    torch.manual_seed(0)
    return Studio(LatentSampler(StyledGenerator(num_classes=3)))


@pytest.fixture
def plain() -> Studio:
    torch.manual_seed(0)
    return Studio(LatentSampler(ToyGenerator()))


def test_a_picture_is_that_of_the_command_sample(generator: Path, tmp_path: Path) -> None:
    studio = Studio(load(generator))  # type: ignore[arg-type]
    for settings in (Settings(ImageName(7), 2), Settings(ImageName(3, 5), 1, 0.7)):
        words = (
            settings.command(str(generator)).replace("gan-lightning ", "").replace("pictures", str(tmp_path / "out"))
        )
        if settings.truncation:
            words = words.replace("/out", "/truncated")
        assert main(words.split()) == 0
        (file,) = tmp_path.glob("truncated/*/*.png" if settings.truncation else "out/*/*.png")
        assert torch.equal(studio.picture(settings), read_png(file))


def test_styles_and_noise_are_those_of_the_name(styled: Studio) -> None:
    settings = Settings(ImageName(4, 1), 2, psi=0.5)
    space = LatentSpace(styled.sampler, psi=0.5)
    wanted = space.make([ImageName(4, 1)], torch.tensor([2]))
    made = styled.picture(settings).float() / 127.5 - 1
    assert (made - wanted[0].clamp(-1, 1)).abs().max() < 1 / 127
    assert not torch.equal(styled.picture(replace(settings, psi=1.0)), styled.picture(settings))


def test_directions_move_a_picture_and_no_steps_leave_it(styled: Studio) -> None:
    start = styled.checked(styled.start())
    assert start.label == 0
    first = styled.picture(start)
    captions = styled.find_directions()
    assert captions[0].startswith("Direction 1, share ")
    assert torch.equal(styled.picture(replace(start, steps=(0.0, 0.0))), first)
    assert not torch.equal(styled.picture(replace(start, steps=(0.0, 3.0))), first)
    found = factorise(LatentSpace(styled.sampler), styled.shown)
    again = Studio(styled.sampler, found).picture(replace(start, steps=(0.0, 3.0)))
    assert torch.equal(again, styled.picture(replace(start, steps=(0.0, 3.0))))


def test_foreign_settings_are_refused(plain: Studio, styled: Studio) -> None:
    with pytest.raises(ValueError, match="it has none"):
        plain.picture(Settings(ImageName(0), 1))
    with pytest.raises(ValueError, match="psi"):
        plain.picture(Settings(ImageName(0), psi=0.5))
    with pytest.raises(ValueError, match="no class 3"):
        styled.picture(Settings(ImageName(0), 3))
    with pytest.raises(ValueError, match="truncation"):
        plain.picture(Settings(ImageName(0), truncation=-1))
    with pytest.raises(ValueError, match="no direction 9"):
        plain.picture(Settings(ImageName(0), steps=(*[0.0] * 8, 1.0)))
    with pytest.raises(ValueError, match="no space w"):
        Studio(plain.sampler, factorise(LatentSpace(styled.sampler)))
    with pytest.raises(ValueError, match="find the directions of this model"):
        Studio(LatentSampler(ToyGenerator(latent_dim=5)), factorise(LatentSpace(plain.sampler)))
    assert styled.checked(Settings(ImageName(0, 5))).label == 2  # image k has class k modulo their number


def test_the_ends_of_a_way_are_the_pictures(plain: Studio) -> None:
    settings, other = Settings(ImageName(1)), ImageName(2)
    ends = [plain.picture(settings), plain.picture(Settings(other))]
    for place, picture in enumerate(ends):
        assert (plain.between(settings, other, place).int() - picture.int()).abs().max() <= 1
    assert plain.strip(settings, other, 5).shape == (1, 8, 32)
    with Image.open(BytesIO(plain.gif(settings, other, 6))) as gif:
        assert gif.n_frames == 6  # type: ignore[attr-defined]


def test_strokes_move_a_picture_towards_their_colour(styled: Studio) -> None:
    canvas = styled.canvas(Settings(ImageName(0), 1))
    strokes = torch.zeros(4, 8, 8, dtype=torch.uint8)
    with pytest.raises(ValueError, match="no strokes"):
        styled.paint(canvas, strokes)
    strokes[:, 2:6, 2:6] = 255 if canvas.picture[:, 1:3, 1:3].float().mean() < 128 else 0
    strokes[3, 2:6, 2:6] = 255
    results = styled.paint(canvas, strokes)
    assert len(results) == PAINTED
    assert results[0].settings == canvas.settings

    def wrong(picture: torch.Tensor) -> float:
        return (picture[0, 1:3, 1:3].float() - strokes[0, 3, 3]).abs().mean().item()

    assert wrong(results[0].picture) < wrong(canvas.picture)
    assert len(styled.paint(results[1], strokes)) == PAINTED  # and goes on from there


def test_visitors_at_the_same_time_get_their_own_pictures(styled: Studio) -> None:
    jobs = [Settings(ImageName(seed), seed % 3, psi=0.5 + 0.1 * (seed % 5)) for seed in range(24)]
    alone = [styled.picture(job) for job in jobs]
    state = torch.get_rng_state()
    with ThreadPoolExecutor(8) as pool:
        together = list(pool.map(styled.picture, jobs))
    assert all(torch.equal(one, other) for one, other in zip(alone, together, strict=True))
    assert torch.equal(torch.get_rng_state(), state)


def test_png_keeps_every_pixel() -> None:
    for channels in (1, 2, 3, 4):
        image = torch.randint(0, 256, (channels, 5, 7), dtype=torch.uint8)
        assert torch.equal(pil_to_tensor(Image.open(BytesIO(png(image)))), image)
    assert Image.open(BytesIO(png(torch.zeros(6, 5, 7, dtype=torch.uint8)))).mode == "RGB"
