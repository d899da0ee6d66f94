#!/usr/bin/env bash
# Builds the static binary: scripts/build.sh [OUTPUT]. The same commit gives the
# same bytes anywhere, so the date is the commit's, not today's.
#
# VERSION, COMMIT and DATE take the place of what git says where there is no git,
# as in an image build. GOOS and GOARCH cross-compile as usual.
set -euo pipefail
cd "$(dirname "$0")/.."

out=${1:-bin/directorybolt}
version=${VERSION:-$(git describe --tags --always --dirty 2>/dev/null || echo unknown)}
commit=${COMMIT:-$(git rev-parse HEAD 2>/dev/null || echo unknown)}
date=${DATE:-$(TZ=UTC git log -1 --date=format-local:%Y-%m-%dT%H:%M:%SZ --format=%cd 2>/dev/null || echo unknown)}

cli=github.com/directorybolt/directorybolt/internal/cli
stamp="-X $cli.version=$version -X $cli.revision=$commit -X $cli.built=$date"

CGO_ENABLED=0 go build -trimpath -buildvcs=false \
	-ldflags "-s -w $stamp" \
	-o "$out" ./cmd/directorybolt
echo "built $out ($version)" >&2
