"""The part of an exported script that is the same for every network."""

FUNCTIONS = '''
HERE = Path(__file__).parent
WEIGHTS = np.load(HERE / "weights.npz")
# Models that PyGeNN reads until it has built, and does not keep alive.
KEPT = []


def add_neurons(model, name, size, code, states, constants=(), threshold="", inputs=(), fed=()):
    """Add a population. The host sets the constants that are fed, for each sample."""
    access = dict.fromkeys(constants, VarAccess.READ_ONLY)
    access |= dict.fromkeys(fed, VarAccess.READ_ONLY_DUPLICATE)
    neuron = create_neuron_model(
        name,
        vars=[*states.items(), *((key, "scalar", mode) for key, mode in access.items())],
        sim_code=code,
        threshold_condition_code=threshold,
        additional_input_vars=[(key, "scalar", 0.0) for key in inputs],
    )
    initial = dict.fromkeys(states, 0) | {key: WEIGHTS[f"{name}/{key}"] for key in constants}
    model.add_neuron_population(name, size, neuron, {}, initial)


def connect(
    model, name, kind, source, target, weights, update,
    graded=False, variable="Isyn", delay=0, by_source=False, toeplitz=None,
):
    """Add synapses: DENSE, SPARSE, or TOEPLITZ with a snippet that places a kernel."""
    reads = {"S": "S"} if graded else {}  # the value of a spike
    weighted = create_weight_update_model(
        "weighted",
        vars=[("g", "scalar", VarAccess.READ_ONLY)],
        pre_neuron_var_refs=[(key, "scalar", VarAccessMode.READ_ONLY) for key in reads],
        **update,
    )
    KEPT.append(weighted)
    connectivity = []
    if toeplitz:
        longest, kernel_size, code = toeplitz
        snippet = create_toeplitz_connect_init_snippet(
            "convolution",
            diagonal_build_code=code,
            calc_max_row_len_func=lambda *_: longest,
            calc_kernel_size_func=lambda _: list(kernel_size),
        )
        KEPT.append(snippet)
        connectivity.append(init_toeplitz_connectivity(snippet))
    group = model.add_synapse_population(
        name,
        kind,
        model.neuron_populations[source],
        model.neuron_populations[target],
        init_weight_update(weighted, vars={"g": WEIGHTS[weights]}, pre_var_refs=reads),
        init_postsynaptic("DeltaCurr"),
        *connectivity,
    )
    if kind == "SPARSE":
        group.set_sparse_connections(WEIGHTS[f"{weights}/source"], WEIGHTS[f"{weights}/target"])
    group.post_target_var = variable
    if delay:
        group.axonal_delay_steps = delay
    if by_source:
        group.parallelism_hint = ParallelismHint.PRESYNAPTIC


def join(arrays):
    """Turn samples [N, ...] of each input, by name, into what the network takes."""
    found = []
    for name, shape in INPUTS.items():
        array = np.asarray(arrays[name], np.float32).reshape(-1, *shape)
        found.append(np.clip(array, *np.float32(LIMITS[name])) if name in LIMITS else array)
    if len(found) == 1:
        return found[0]
    return np.concatenate([array.reshape(len(array), -1) for array in found], axis=1)


def open_sessions():
    """Open what computes the currents of samples: the affine maps that read the input."""
    return {name: InferenceSession(HERE / f"currents_{name}.onnx") for name in FED}


def currents(session, samples):
    """Return the currents of samples, [N, neurons], in ONNX order; no source has spiked yet."""
    feeds = {
        item.name: np.zeros((len(samples), *item.shape[1:]), np.float32)
        for item in session.get_inputs()
    }
    feeds[INPUT] = samples
    return session.run(None, feeds)[0].reshape(len(samples), -1)


def run(model, samples):
    """Simulate samples on a loaded model, a new one every STEPS steps; return logits [N, ...]."""
    batch = model.batch_size
    groups = -(-len(samples) // batch)
    padded = np.zeros((groups * batch, *samples.shape[1:]), np.float32)
    padded[: len(samples)] = samples
    sessions = open_sessions()
    logits = []
    model.timestep = 0
    while len(logits) < groups:
        for name, (start, biases) in FED.items():
            group, phase = divmod(model.timestep - start, STEPS)
            if phase == 0 and 0 <= group < groups:
                current = currents(sessions[name], padded[group * batch : (group + 1) * batch])
                order = WEIGHTS[f"{name}/order"]
                apart = current.reshape(batch, len(biases), -1)[:, :, order]
                for index, key in enumerate(biases):
                    bias = model.neuron_populations[name].vars[key]
                    bias.view[...] = apart[:, index].reshape(bias.view.shape)
                    bias.push_to_device()
        model.step_time()
        answered, phase = divmod(model.timestep - READOUT_START, STEPS)
        if phase == 0 and answered > 0:
            out = model.neuron_populations[READOUT].vars["out"]
            out.pull_from_device()
            logits.append(out.view.reshape(batch, -1).copy())
    logits = np.concatenate(logits)[: len(samples)]
    return logits[:, np.argsort(WEIGHTS[f"{READOUT}/order"])].reshape(-1, *OUTPUT_SHAPE)


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("samples", help=".npy, or .npz with x or an array for each input")
    parser.add_argument("--backend", default="single_threaded_cpu")
    parser.add_argument("--batch-size", type=int, default=1, help="on a GPU")
    parser.add_argument("--logits", help=".npy to write the logits to")
    given = parser.parse_args()
    arrays = np.load(given.samples)
    if isinstance(arrays, np.ndarray):
        arrays = {"x": arrays}
    if len(INPUTS) == 1 and "x" in arrays:
        arrays = {next(iter(INPUTS)): arrays["x"]}
    samples = join(arrays)
    model = make_model(given.backend, given.batch_size)
    model.build(str(HERE))
    model.load()
    logits = run(model, samples)
    if given.logits:
        np.save(given.logits, logits)
    print(*logits.reshape(len(logits), -1).argmax(axis=1))


if __name__ == "__main__":
    main()
'''
