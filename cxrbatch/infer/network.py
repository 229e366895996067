"""Start the network of a bundle on the runtime that was chosen: options in, a network that scores images out."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from cxrbatch._lib import litert
from cxrbatch.bundle import Bundle
from cxrbatch.infer.choice import RuntimeChoice, choose_runtime
from cxrbatch.infer.litert import LitePredictor
from cxrbatch.infer.predictor import KerasPredictor, Key, score_images
from cxrbatch.infer.runtime import Device, Precision, Runtime, start_runtime
from cxrbatch.records import Failure, ModelInput, Outcome


@dataclass(frozen=True, slots=True, kw_only=True)
class Network:
    """A network that is ready to score.

    Attributes
    ----------
    runtime : str
        Name and version of what runs it, for the provenance.
    device : str
        Device on which scores are computed.
    precision : Precision
        Never ``AUTO``.
    predictor : KerasPredictor or LitePredictor
    bundle : Bundle
    tensorflow : Runtime or None
        None where LiteRT runs it.
    """

    runtime: str
    device: str
    precision: Precision
    predictor: KerasPredictor | LitePredictor
    bundle: Bundle
    tensorflow: Runtime | None = None

    @property
    def batch_size(self) -> int:
        """Images that are scored at a time."""
        return self.predictor.batch_size

    @property
    def explained_by(self) -> Any:
        """What explains scores: a `LitePredictor` that states evidence, or a `keras.Model` with all outputs, float32.

        A network that LiteRT runs and that states no evidence is loaded by TensorFlow once more, which has gradients.
        """
        if isinstance(self.predictor, KerasPredictor):
            return self.predictor.network
        if self.predictor.explains:
            return self.predictor
        start_runtime(Device.CPU, Precision.FLOAT32)
        from cxrbatch.bundle import load_network  # noqa: PLC0415 - it imports Keras

        return load_network(self.bundle.model_path)

    def score(
        self,
        inputs: Iterable[tuple[Key, ModelInput | Failure]],
        stop: Callable[[], object] = lambda: None,
        *,
        is_short: bool = False,
    ) -> Iterator[tuple[Key, Outcome]]:
        """Score images; see `score_images`. A short run goes without tf.data: that costs as much as nine images."""
        batches = None if is_short else self.tensorflow
        return score_images(inputs, self.predictor, self._n_taken, batches, stop)

    @property
    def _n_taken(self) -> int:
        """Images that the predictor is given at a time."""
        predictor = self.predictor
        return predictor.n_at_once if isinstance(predictor, LitePredictor) else predictor.batch_size


def start_network(
    bundle: Bundle,
    *,
    runtime: RuntimeChoice = RuntimeChoice.AUTO,
    device: Device = Device.AUTO,
    precision: Precision = Precision.AUTO,
    batch_size: int | None = None,
    n_processors: int = 1,
) -> Network:
    """Choose the runtime, import it, and load the network.

    Parameters
    ----------
    batch_size : int, optional
        For TensorFlow; by default that of the device. LiteRT scores each image by itself.
    n_processors : int
        Processors that the network shares with what reads the images. It uses more than half of them: where reading
        is fast, the network takes most of the time. TensorFlow divides each operation among them, LiteRT scores as
        many images at the same time. The scores do not depend on it.

    Raises
    ------
    UsageProblem
        See `choose_runtime` and `start_runtime`.
    BundleError
        The network cannot be loaded.
    """
    n_threads = n_processors // 2 + 1
    if choose_runtime(bundle, runtime, device, precision) is RuntimeChoice.LITERT:
        return Network(
            runtime=f"LiteRT {litert.version()}",
            device="CPU",
            precision=Precision.FLOAT32,
            predictor=LitePredictor(bundle, n_at_once=n_threads),
            bundle=bundle,
        )
    started = start_runtime(device, precision, n_threads)
    return Network(
        runtime=f"TensorFlow {started.tensorflow.__version__}",
        device=started.device,
        precision=started.precision,
        predictor=KerasPredictor(bundle, started, batch_size),
        bundle=bundle,
        tensorflow=started,
    )
