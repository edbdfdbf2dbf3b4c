"""Cases of every layer: constructor arguments, shapes of inputs and how it is called.

Of each layer all that makes its gradient another one.

A case is (make, inputs, call): `make` gets `new(name, *args, **options)`, which makes a layer of the dtype under test; `inputs`
is a shape of float inputs, a list of shapes, or `Ids(high, shape)` for whole numbers; `call` are further arguments of the call,
in which a `Mask(shape)` stands for booleans and an `Input(shape)` for floats that are differentiated by as well.
"""
from typing import Any, NamedTuple


class Ids(NamedTuple):
    """Whole numbers below `high`."""

    high: int
    shape: tuple[int, ...]


class Mask(NamedTuple):
    """Booleans, true at the first step of each row."""

    shape: tuple[int, ...]


class Input(NamedTuple):
    """Further floats."""

    shape: tuple[int, ...]


TRAINING = {"training": True}
WITHOUT = {  # public layers that have no case, and why
    "Layer": "its call is that of a subclass", "Wrapper": "its call is that of a subclass", "InputLayer": "it computes nothing"}
IMAGE = (2, 5, 6, 4)
STEPS = (2, 4, 3)


def _plain(name: str, shape: Any, *options: dict[str, Any], call: dict[str, Any] | None = None) -> list[Any]:
    """One case for each dict of options."""
    def make(given: dict[str, Any]) -> Any:
        return lambda new: new(name, **given)
    return [(make(given), shape, call or {}) for given in options]


def _first(shape: tuple[int, ...]) -> tuple[int, ...]:
    """The shape with its channels behind the batch axis."""
    return (shape[0], shape[-1], *shape[1:-1])


FIRST = {"data_format": "channels_first"}
CASES: dict[str, list[Any]] = {}
CASES["Activation"] = _plain("Activation", (3, 6), *[{"activation": a} for a in (
    "tanh", "gelu", "silu", "mish", "softplus", "log_softmax", "hard_sigmoid", "selu", "celu", "glu", "softsign", "relu6")])
CASES["ActivityRegularization"] = _plain("ActivityRegularization", (3, 5), {"l1": 0.1, "l2": 0.2})
for kind in ("Average", "Max"):
    for rank, shape in enumerate(((2, 7, 3), (2, 7, 5, 3), (2, 5, 4, 6, 2)), 1):
        window = (3, 2, 2)[:rank]
        CASES[f"{kind}Pooling{rank}D"] = _plain(
            f"{kind}Pooling{rank}D", shape, {"pool_size": 2}, {"pool_size": 3, "strides": 1, "padding": "same"},
            {"pool_size": window, "strides": 2}, {"pool_size": 3, "strides": 2, "padding": "same"})
        CASES[f"{kind}Pooling{rank}D"] += _plain(f"{kind}Pooling{rank}D", _first(shape), {"pool_size": 2, **FIRST})
        CASES[f"Global{kind}Pooling{rank}D"] = _plain(f"Global{kind}Pooling{rank}D", shape, {}, {"keepdims": True}, FIRST)
        CASES[f"Adaptive{kind}Pooling{rank}D"] = _plain(
            f"Adaptive{kind}Pooling{rank}D", shape, {"output_size": (3, 2, 4)[:rank]}, {"output_size": 2, **FIRST})
CASES["GlobalAveragePooling1D"] += _plain("GlobalAveragePooling1D", STEPS, {}, call={"mask": Mask((2, 4))})
for name in ("Add", "Average", "Maximum", "Minimum", "Multiply", "Concatenate"):
    CASES[name] = _plain(name, [(2, 3, 4)] * 3, {}) + _plain(name, [(2, 3, 4)] * 2, {})
for name in ("Add", "Average", "Maximum", "Minimum", "Multiply"):
    CASES[name] += _plain(name, [(2, 3, 4), (2, 1, 4)], {})
CASES["Concatenate"] += _plain("Concatenate", [(2, 3, 4), (2, 5, 4)], {"axis": 1})
CASES["Subtract"] = _plain("Subtract", [(2, 3), (2, 3)], {})
CASES["Dot"] = _plain("Dot", [(2, 3, 4), (2, 5, 4)], {"axes": 2}, {"axes": (-1, -1), "normalize": True}) + _plain(
    "Dot", [(2, 3), (2, 3)], {"axes": 1}
)
for name in ("Attention", "AdditiveAttention"):
    query = [(2, 3, 4), (2, 5, 4), (2, 5, 4)]
    CASES[name] = _plain(name, query, {"use_scale": True}, {"use_scale": False}) + _plain(
        name, query[:2], {"dropout": 0.4}, call=TRAINING
    )
    CASES[name] += _plain(name, query[1:], {"use_scale": True}, call={"use_causal_mask": True, "return_attention_scores": True})
    CASES[name] += _plain(name, query, {}, call={"mask": [Mask((2, 3)), Mask((2, 5))]})
CASES["Attention"] += _plain("Attention", query, {"score_mode": "concat", "use_scale": True})
heads = {"num_heads": 2, "key_dim": 3}
CASES["MultiHeadAttention"] = [
    *_plain("MultiHeadAttention", (2, 3, 4), heads, {**heads, "value_dim": 5, "output_shape": 7, "use_bias": False},
            call={"value": Input((2, 5, 4))}),
    *_plain("MultiHeadAttention", (2, 5, 4), heads, {**heads, "sliding_window": 2},
            call={"value": Input((2, 5, 4)), "use_causal_mask": True, "return_attention_scores": True}),
    *_plain("MultiHeadAttention", (2, 3, 4), {**heads, "dropout": 0.3}, {**heads, "use_gate": True},
            call={"value": Input((2, 5, 4)), "key": Input((2, 5, 6)), "attention_mask": Mask((2, 3, 5)), **TRAINING}),
    *_plain("MultiHeadAttention", (2, 3, 2, 4), {**heads, "attention_axes": (1, 2)}, call={"value": Input((2, 3, 2, 4))})]
groups = {"head_dim": 3, "num_query_heads": 4, "num_key_value_heads": 2}
CASES["GroupQueryAttention"] = [
    *_plain("GroupQueryAttention", (2, 3, 4), groups, {**groups, "use_bias": False, "use_gate": True},
            call={"value": Input((2, 5, 4))}),
    *_plain("GroupQueryAttention", (2, 3, 4), {**groups, "dropout": 0.3},
            call={"value": Input((2, 3, 4)), "use_causal_mask": True, **TRAINING})]
for rank, shape in enumerate(((2, 9, 4), IMAGE, (2, 4, 5, 4, 2)), 1):
    name = f"Conv{rank}D"
    basic = {"filters": 4, "kernel_size": (3, 2, 2)[:rank]}
    CASES[name] = _plain(
        name, shape, basic, {**basic, "padding": "same", "strides": 2, "activation": "tanh"},
        {**basic, "use_bias": False, "padding": "same"},
        {**basic, "dilation_rate": 2, "padding": "same"}, {**basic, "groups": 2}, {"filters": 3, "kernel_size": 1})
    CASES[name] += _plain(name, _first(shape), {**basic, **FIRST})
    CASES[f"{name}Transpose"] = _plain(
        f"{name}Transpose", shape, basic, {**basic, "padding": "same", "strides": 2, "activation": "tanh"},
        {**basic, "use_bias": False, "strides": 3},
        {**basic, "dilation_rate": 2}, {**basic, "strides": 2, "output_padding": 1})
    CASES[f"{name}Transpose"] += _plain(f"{name}Transpose", _first(shape), {**basic, "strides": 2, **FIRST})
CASES["Conv1D"] += _plain("Conv1D", (2, 9, 4), {"filters": 3, "kernel_size": 3, "padding": "causal", "dilation_rate": 2})
for rank, shape in enumerate(((2, 9, 4), IMAGE), 1):
    for name, basic in ((f"DepthwiseConv{rank}D", {"kernel_size": 3}),
                        (f"SeparableConv{rank}D", {"filters": 3, "kernel_size": 3})):
        CASES[name] = _plain(
            name, shape, basic, {**basic, "padding": "same", "strides": 2, "activation": "tanh"},
            {**basic, "depth_multiplier": 2, "use_bias": False},
            {**basic, "dilation_rate": 2, "padding": "same"})
        CASES[name] += _plain(name, _first(shape), {**basic, **FIRST})
for name, shapes in (("ConvLSTM1D", (2, 3, 5, 2)), ("ConvLSTM2D", (2, 3, 4, 5, 2)), ("ConvLSTM3D", (2, 2, 3, 4, 3, 2))):
    basic = {"filters": 2, "kernel_size": 2}
    CASES[name] = _plain(name, shapes, basic, {**basic, "padding": "same", "return_sequences": True, "return_state": True},
                         {**basic, "strides": 2, "use_bias": False, "go_backwards": True})
    CASES[name] += _plain(name, shapes, {**basic, "return_sequences": True}, call={"mask": Mask(shapes[:2])})
CASES["ConvLSTM2D"] += _plain("ConvLSTM2D", (2, 3, 2, 4, 5), {**basic, **FIRST}) + _plain(
    "ConvLSTM2D", (2, 3, 4, 5, 2), {**basic, "stateful": True}, {**basic, "dropout": 0.3, "recurrent_dropout": 0.2},
    call=TRAINING)
for name in ("SimpleRNN", "GRU", "LSTM"):
    CASES[name] = _plain(
        name, STEPS, {"units": 5}, {"units": 4, "return_sequences": True, "go_backwards": True, "use_bias": False},
        {"units": 4, "return_sequences": True, "return_state": True}, {"units": 4, "stateful": True},
        {"units": 3, "unroll": True},
        {"units": 3, "activation": "softsign"})
    CASES[name] += _plain(name, STEPS, {"units": 4}, {"units": 4, "return_sequences": True, "return_state": True},
                          {"units": 4, "go_backwards": True, "return_sequences": True}, call={"mask": Mask((2, 4))})
    CASES[name] += _plain(name, STEPS, {"units": 4, "dropout": 0.3}, {"units": 4, "dropout": 0.2, "recurrent_dropout": 0.3},
                          call=TRAINING)
    state = Input((2, 4))
    CASES[name] += _plain(name, STEPS, {"units": 4, "return_state": True},
                          call={"initial_state": [state] * (2 if name == "LSTM" else 1)})
    CASES[f"{name}Cell"] = _plain(f"{name}Cell", (2, 3), {"units": 4},
                                  {"units": 4, "use_bias": False, "activation": "softplus"},
                                  call={"states": [state] * (2 if name == "LSTM" else 1)})
CASES["GRU"] += _plain("GRU", STEPS, {"units": 4, "reset_after": False},
                       {"units": 4, "reset_after": False, "recurrent_activation": "hard_sigmoid"})
CASES["GRUCell"] += _plain("GRUCell", (2, 3), {"units": 4, "reset_after": False}, call={"states": [Input((2, 4))]})
CASES["RNN"] = [(lambda new: new("RNN", new("GRUCell", 4), return_sequences=True), STEPS, {}),
                (lambda new: new("RNN", [new("LSTMCell", 4), new("SimpleRNNCell", 3)], return_state=True), STEPS,
                 {"mask": Mask((2, 4))})]
CASES["StackedRNNCells"] = [(lambda new: new("StackedRNNCells", [new("SimpleRNNCell", 4), new("GRUCell", 3)]), (2, 3),
                             {"states": [Input((2, 4)), Input((2, 3))]})]
CASES["Bidirectional"] = [
    (lambda new: new("Bidirectional", new("LSTM", 3, return_sequences=True)), STEPS, {"mask": Mask((2, 4))}),
    *[(lambda new, mode=mode: new("Bidirectional", new("GRU", 3), merge_mode=mode), STEPS, {})
      for mode in ("sum", "mul", "ave", None)]]
CASES["TimeDistributed"] = [(lambda new: new("TimeDistributed", new("Dense", 4)), STEPS, {"mask": Mask((2, 4))}),
                            (lambda new: new("TimeDistributed", new("Conv1D", 4, 2)), (2, 3, 5, 2), {}),
                            (lambda new: new("TimeDistributed", new("BatchNormalization")), (4, 3, 5), TRAINING)]
CASES["BatchNormalization"] = [
    case for call in ({}, TRAINING) for case in (
        *_plain("BatchNormalization", (6, 5), {}, {"center": False}, {"scale": False, "momentum": 0.5}, call=call),
        *_plain("BatchNormalization", IMAGE, {}, {"axis": 1}, {"epsilon": 0.1}, call=call),
        *_plain("BatchNormalization", (4, 5, 3), {}, call={**call, "mask": Mask((4, 5))}))]
CASES["LayerNormalization"] = _plain("LayerNormalization", IMAGE, {}, {"axis": [1, 2]}, {"center": False, "axis": 1},
                                     {"scale": False, "epsilon": 0.1})
CASES["GroupNormalization"] = _plain("GroupNormalization", IMAGE, {"groups": 2}, {"groups": -1}, {"groups": 1, "center": False})
CASES["GroupNormalization"] += _plain("GroupNormalization", _first(IMAGE), {"groups": 2, "axis": 1})
CASES["RMSNormalization"] = _plain("RMSNormalization", IMAGE, {}, {"axis": 1})
CASES["UnitNormalization"] = _plain("UnitNormalization", IMAGE, {}, {"axis": [1, 3]})
CASES["SpectralNormalization"] = [
    (lambda new: new("SpectralNormalization", new("Dense", 4)), (3, 5), {}),
    (lambda new: new("SpectralNormalization", new("Dense", 4)), (3, 5), TRAINING),
    (lambda new: new("SpectralNormalization", new("Conv2D", 3, 2), power_iterations=2), IMAGE, TRAINING)]
CASES["Normalization"] = _plain("Normalization", (3, 4), {"mean": [1.0, 2.0, 3.0, 4.0], "variance": [0.5, 1.0, 2.0, 3.0]},
                                {"axis": None, "mean": 0.3, "variance": 2.0, "invert": True})
CASES["Dense"] = _plain("Dense", (2, 5), {"units": 3}, {"units": 3, "activation": "gelu"},
                        {"units": 3, "activation": "softmax", "use_bias": False})
CASES["Dense"] += _plain("Dense", (2, 3, 2, 5), {"units": 4, "activation": "silu"})
CASES["EinsumDense"] = _plain("EinsumDense", (2, 3, 5),
                              {"equation": "abc,cd->abd", "output_shape": (None, 4), "bias_axes": "d"},
                              {"equation": "abc,cde->abde", "output_shape": (None, 2, 3), "activation": "tanh"},
                              {"equation": "...x,xy->...y", "output_shape": 4, "bias_axes": "y"})
CASES["Embedding"] = _plain("Embedding", Ids(6, (2, 5)), {"input_dim": 6, "output_dim": 3},
                            {"input_dim": 6, "output_dim": 3, "mask_zero": True})
CASES["Identity"] = _plain("Identity", (2, 3), {})
CASES["Lambda"] = [(lambda new: new("Lambda", lambda x: x * x + x), (2, 3), {})]
CASES["Masking"] = _plain("Masking", STEPS, {})
CASES["ELU"] = _plain("ELU", (3, 5), {}, {"alpha": 0.4})
CASES["ReLU"] = _plain("ReLU", (3, 5), {}, {"max_value": 0.5}, {"negative_slope": 0.2, "threshold": 0.1, "max_value": 1.0})
CASES["LeakyReLU"] = _plain("LeakyReLU", (3, 5), {}, {"negative_slope": 0.05})
CASES["PReLU"] = _plain("PReLU", IMAGE, {}, {"shared_axes": [1, 2]})
CASES["Softmax"] = _plain("Softmax", (2, 3, 5), {}, {"axis": 1}, {"axis": (1, 2)}) + _plain(
    "Softmax", (2, 5), {}, call={"mask": Mask((2, 5))}
)
for name in ("Dropout", "GaussianDropout", "AlphaDropout", "GaussianNoise"):
    rate = "stddev" if name == "GaussianNoise" else "rate"
    CASES[name] = _plain(name, (3, 5), {rate: 0.4, "seed": 3}, {rate: 0.0}, call=TRAINING) + _plain(name, (3, 5), {rate: 0.4})
for name in ("Dropout", "AlphaDropout"):
    CASES[name] += _plain(name, (3, 4, 5), {"rate": 0.4, "noise_shape": (None, 1, 5), "seed": 3}, call=TRAINING)
for rank, shape in enumerate((STEPS, IMAGE, (2, 3, 4, 5, 2)), 1):
    name = f"SpatialDropout{rank}D"
    CASES[name] = _plain(name, shape, {"rate": 0.4, "seed": 3}, call=TRAINING) + _plain(name, shape, {"rate": 0.4})
    CASES[f"Cropping{rank}D"] = _plain(f"Cropping{rank}D", shape, {"cropping": 1},
                                       {"cropping": (0, 1) if rank == 1 else ((0, 1),) * rank})
    CASES[f"ZeroPadding{rank}D"] = _plain(f"ZeroPadding{rank}D", shape, {"padding": 1},
                                          {"padding": (0, 2) if rank == 1 else ((0, 2),) * rank}, FIRST)
    CASES[f"UpSampling{rank}D"] = _plain(f"UpSampling{rank}D", shape, {"size": 2},
                                         *[{"size": (1, 2, 3)[:rank], **FIRST}] * (rank > 1))
CASES["Cropping2D"] += _plain("Cropping2D", (2, 3, 5, 6), {"cropping": (1, 2), **FIRST})
CASES["UpSampling2D"] += _plain("UpSampling2D", IMAGE, {"interpolation": "bilinear"}, {"interpolation": "bicubic"})
CASES["Resizing"] = _plain(
    "Resizing", IMAGE, *[{"height": 3, "width": 8, "interpolation": i} for i in ("bilinear", "nearest", "bicubic", "lanczos3")],
    {"height": 3, "width": 3, "antialias": True}, {"height": 3, "width": 3, "crop_to_aspect_ratio": True},
    {"height": 7, "width": 4, "pad_to_aspect_ratio": True}, {"height": 3, "width": 5, **FIRST})
CASES["CenterCrop"] = _plain("CenterCrop", IMAGE, {"height": 3, "width": 4}, {"height": 8, "width": 9})
CASES["Rescaling"] = _plain("Rescaling", (2, 3), {"scale": 0.5, "offset": 1.0}, {"scale": [1.0, 2.0, 3.0]})
CASES["Flatten"] = _plain("Flatten", IMAGE, {}, FIRST)
CASES["Permute"] = _plain("Permute", IMAGE, {"dims": (3, 1, 2)})
CASES["RepeatVector"] = _plain("RepeatVector", (2, 3), {"n": 4})
CASES["Reshape"] = _plain("Reshape", IMAGE, {"target_shape": (10, -1)}, {"target_shape": (4, 5, 6)})
