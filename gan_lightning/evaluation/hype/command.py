"""`gan-lightning hype REAL FAKE` and `gan-lightning hype-report ANSWERS`."""

from contextlib import ExitStack, suppress
from pathlib import Path
from typing import Annotated

from gan_lightning.evaluation.hype.answers import AnswersFile, read_answers
from gan_lightning.evaluation.hype.pictures import Pictures
from gan_lightning.evaluation.hype.report import report
from gan_lightning.evaluation.hype.server import HypeServer
from gan_lightning.evaluation.hype.study import IMAGES, Design, ProtocolName, Study
from gan_lightning.ranges import NonNegativeInt, PositiveInt, Range, checked


@checked
def hype(
    real: Path,
    fake: Path,
    protocol: ProtocolName = "infinity",
    answers: Path = Path("hype.jsonl"),
    num: PositiveInt | None = None,
    tutorial: NonNegativeInt = 0,
    host: str = "127.0.0.1",
    port: Annotated[int, Range(0, 65535)] = 8000,
    names: tuple[str, ...] = (),
    most_people: PositiveInt = 1000,
    seed: NonNegativeInt = 0,
) -> None:
    """Ask people which images are real, on a web page served from here: HYPE, Zhou et al. 2019 (arXiv 1904.01121).

    HYPE-infinity has no time limit. Its score is the rate of wrong answers in percent: 50 if nobody can distinguish
    fakes from real images, and more if fakes look more real than real images; higher is better. HYPE-time shows images
    in three blocks, and hides each behind noise after some time. This is 500 ms at first, 10 ms less after a right
    answer and 30 ms more after a wrong one (100 to 1,000 ms). Its score is a person's most frequent exposure, averaged
    over the blocks: the time it takes to be right in three of four cases; longer is better. Both scores are means over
    people (the paper has 30), with bootstrap 95% intervals.

    Answers are on the disk before the next image is shown. The same command continues where the file ends, and each
    person, identified by name, continues where they stopped. Ctrl-C ends the server and prints the result, which is
    also at /results.

    The page asks for a name and no password: serve it to people you trust.

    Args:
        real: Folder of real images, in sub-folders of any depth; none smaller than the fakes.
        fake: Folder of generated images. The smallest sets the size at which all images are shown.
        protocol: infinity or time.
        answers: File of JSON lines to which answers are added.
        num: Number of images that each person sees, half of them real; for `time`, in each block. By default as in the
            paper: 100, and 150 for `time`.
        tutorial: Number of images that are shown with the right answer before that, half of them real. A person with
            more than 35% wrong answers for the real ones or for the fakes does not continue. The paper has 100, with
            fakes by several generators. Here they are from FAKE: the better they are, the fewer people pass. 0 = no
            tutorial.
        host: Address to serve on; 0.0.0.0 lets in other machines and phones of the network.
        port: Port to serve on; 0 = any free port.
        names: Further names under which browsers reach this server, for example that of a proxy. An address, localhost
            and the name of this machine are always allowed; requests for any other name are refused.
        most_people: Largest number of people who may join.
        seed: Seed of the images that a person sees, of their order, and of the bootstrap.

    Raises:
        OSError: A folder holds no images, the answers file cannot be written, or the port is taken.
        ValueError: There are too few images, an image cannot be read or is too small, or the answers file is of another
            study, damaged, or open in another process.
    """
    design = Design(protocol, IMAGES[protocol] if num is None else num, tutorial, seed)
    pictures = Pictures(real, fake, seed)
    with ExitStack() as stack:
        file = stack.enter_context(AnswersFile(answers, design))
        study = Study(design, pictures.real, pictures.fake, file)
        study.restore(file.recorded.people, file.recorded.answers)
        server = stack.enter_context(HypeServer(host, port, study, pictures, names, most_people))
        pictures.check()
        height, width = pictures.size
        print(f"HYPE-{protocol}: {server.url}, images of {width}x{height} pixels. Ctrl-C ends it.", flush=True)
        with suppress(KeyboardInterrupt):
            server.serve_forever()
        print(f"\n{server.report().table()}\nAnswers: {answers}")


def hype_report(answers: Path, json: Path | None = None) -> None:
    """Print the result of a HYPE study from its file of answers. The study may still be under way.

    Args:
        answers: File that `hype` has written.
        json: File to write the result to, with each person's scores.

    Raises:
        OSError: There is no such file, or `json` cannot be written.
        ValueError: It is not a file of answers, or damaged.
    """
    result = report(*read_answers(answers))
    print(result.table())
    if json is not None:
        json.write_text(result.as_json() + "\n")
