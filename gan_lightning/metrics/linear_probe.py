"""The quality of features, measured by a linear classifier on them."""

from importlib.util import find_spec

from torch import Tensor


def check_linear_svm() -> None:
    """Raise ModuleNotFoundError unless scikit-learn is installed, which trains the classifier."""
    if find_spec("sklearn") is None:
        raise ModuleNotFoundError(
            "a linear SVM needs scikit-learn, which is not installed: pip install 'gan_lightning[shapes]'"
        )


def linear_svm_accuracy(
    train: Tensor, train_labels: Tensor, test: Tensor, test_labels: Tensor, penalty: float = 0.01
) -> float:
    """Train a linear support vector machine on features, and return its accuracy on others, in [0, 1].

    Args:
        train: features (N, d) to train on. All are scaled by the means and standard deviations of these.
        train_labels: their classes, int64 (N,), at least two.
        test: features (M, d) to classify.
        test_labels: their classes, int64 (M,).
        penalty: C, the weight of wrong classifications against large weights, above 0.

    Raises:
        ValueError: all training features are of one class.
        ModuleNotFoundError: scikit-learn is missing.
    """
    check_linear_svm()
    if len(train_labels.unique()) < 2:
        raise ValueError("a linear SVM tells classes apart, and all features are of one class: give two classes")
    from sklearn.pipeline import make_pipeline  # noqa: PLC0415 (a second's import)
    from sklearn.preprocessing import StandardScaler  # noqa: PLC0415
    from sklearn.svm import LinearSVC  # noqa: PLC0415

    machine = make_pipeline(StandardScaler(), LinearSVC(C=penalty, dual="auto", random_state=0))
    machine.fit(train.double().cpu().numpy(), train_labels.cpu().numpy())
    return float(machine.score(test.double().cpu().numpy(), test_labels.cpu().numpy()))
