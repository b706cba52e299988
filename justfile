# The whole story in seconds
demo:
    cargo run --release -- demo

# All tests
test:
    cargo test

# The gate
ci:
    .ci/run

# All benchmarks, as docs/BENCHMARKS.md has them
bench:
    cargo bench --bench authenticate
    cargo bench --bench wire
    cargo bench --bench process
    cargo bench --bench refusals

# The conformance host on go-plugin
host *ARGS:
    cargo build --release
    cd tests/host-go && go run . -binary ../../target/release/latchkey {{ARGS}}
