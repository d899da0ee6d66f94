#!/usr/bin/env bash
# Writes API_ORIGIN into the rules of a static host: point-at-api.sh FILE. Netlify
# reads no variable in them, and a page that asks the wrong API must not go live.
set -euo pipefail
file=${1:?usage: point-at-api.sh FILE}
example=https://api.example.com

: "${API_ORIGIN:?set it to where the API is reached, such as https://api.example.org}"
: "${NETLIFY_SIGNING_SECRET:?set it to the same secret as the API has, so that the API believes who the client is}"
if ! [[ $API_ORIGIN =~ ^https://[A-Za-z0-9.-]+(:[0-9]+)?$ ]]; then
	echo "API_ORIGIN is \"$API_ORIGIN\"; it must be https:// and a host, without a path" >&2
	exit 1
fi
if ! grep -q "$example" "$file"; then
	echo "$file does not name $example: nothing to replace" >&2
	exit 1
fi

rules=$(sed "s|$example|$API_ORIGIN|g" "$file")
printf '%s\n' "$rules" >"$file"
echo "the API of $file is $API_ORIGIN"
