#!/bin/sh
# Makes the .pb.go files anew after a change to a .proto file. Running the tests needs none of this, only go.
# Needs: go, protoc (Debian: protobuf-compiler). The generators are pinned and go to a throw-away directory.
set -eu
cd "$(dirname "$0")/proto"
bin=$(mktemp -d)
trap 'rm -rf "$bin"' EXIT
GOBIN=$bin go install google.golang.org/protobuf/cmd/protoc-gen-go@v1.36.10
GOBIN=$bin go install google.golang.org/grpc/cmd/protoc-gen-go-grpc@v1.5.1
PATH=$bin:$PATH protoc --go_out=.. --go_opt=module=latchkey.test/hostgo \
    --go-grpc_out=.. --go-grpc_opt=module=latchkey.test/hostgo $(find . -name '*.proto' | sed 's|^\./||' | sort)
