"""`python -m gan_lightning hype REAL FAKE` and `python -m gan_lightning hype-report ANSWERS`."""

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

    HYPE-infinity has no limit of time. Its score is the rate of wrong answers in percent: 50 where nobody can tell
    fakes from real images, above that where fakes look more real; higher is better. HYPE-time shows images for 500 ms
    at first, 10 ms less after a right answer and 30 ms more after a wrong one (100 to 1,000 ms), then hides them behind
    noise, in three blocks. Its score is a person's most frequent exposure, averaged over the blocks: the time it takes
    to be right in three of four cases; longer is better. Both are means over people (the paper has 30), with bootstrap
    95% intervals.

    Answers are on the disk before the next image is shown. The same command goes on where the file ends, and each
    person, by their name, where they stopped. Ctrl-C ends the server and prints the result, also to be had at /results.

    The page asks for a name and no password: serve it to people you trust.

    Args:
        real: Folder of real images, in sub-folders of any depth; none smaller than the fakes.
        fake: Folder of generated images. The smallest gives the size at which all images are shown.
        protocol: infinity or time.
        answers: File of JSON lines that answers are added to.
        num: Images that each person is shown, half of them real; with time, in each block. By default as in the paper:
            100, and 150.
        tutorial: Images that are shown and explained before that, half of them real. Who is wrong in more than 35% of
            the real ones or of the fakes goes no further. In the paper these are 100, the fakes by several generators;
            here they are from FAKE, so that the better they are, the fewer people pass. 0 = no tutorial.
        host: Address to serve on; 0.0.0.0 lets in other machines and phones of the network.
        port: Port to serve on; 0 = any that is free.
        names: Further names under which browsers reach this server, of a proxy before it, say. An address, localhost
            and the name of this machine need no mention; requests for any other name are refused.
        most_people: Refuse to let more people join.
        seed: Of which images a person sees and in which order, and of the bootstrap.

    Raises:
        OSError: If a folder holds no images, the answers file cannot be written, or the port is taken.
        ValueError: If there are too few images, one cannot be read or is too small, or the answers file is of another
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
    """Print the result of a HYPE study from its file of answers; it may still be under way.

    Args:
        answers: File that `hype` has written.
        json: File to write the result to, with each person's scores.

    Raises:
        OSError: If there is no such file, or the other cannot be written.
        ValueError: If it is no file of answers, or damaged.
    """
    result = report(*read_answers(answers))
    print(result.table())
    if json is not None:
        json.write_text(result.as_json() + "\n")
