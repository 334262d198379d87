#!/usr/bin/env bash
# Runs a command with an independent Kinesis and DynamoDB beside it, on free ports of 127.0.0.1:
#
#   emulators.sh kinesalite|kinesis-local COMMAND...
#
#   kinesalite      kinesalite and dynalite
#   kinesis-local   kinesis-local and dynoxide
#
# The command finds them in ROOTWATCH_KINESIS_ENDPOINT and ROOTWATCH_DYNAMODB_ENDPOINT (and, for AWS's own
# tools, AWS_ENDPOINT_URL_KINESIS and AWS_ENDPOINT_URL_DYNAMODB), and who they are in ROOTWATCH_EMULATOR; the
# exit status is the command's. Needs node and npm; what it installs, once, goes to
# ${ROOTWATCH_EMULATORS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/rootwatch/emulators}.
set -euo pipefail

usage() {
	sed -n '2,7s/^# \{0,1\}//p' "$0" >&2
	exit 2
}

[ $# -ge 2 ] || usage
pair=$1
shift

platform=$(node -p 'process.platform + "-" + process.arch')
case $pair in
kinesalite)
	packages=(kinesalite@3.3.3 dynalite@4.0.0)
	;;
kinesis-local)
	packages=(kinesis-local@0.6.2 "@dynoxide/$platform@1.2.1")
	;;
*)
	usage
	;;
esac

cache=${ROOTWATCH_EMULATORS_DIR:-${XDG_CACHE_HOME:-$HOME/.cache}/rootwatch/emulators}
# The directory's name is what is in it: another version is another directory.
home=$cache/$(IFS=+ && printf '%s' "${packages[*]}" | tr -c 'A-Za-z0-9.+-' '_')
if [ ! -d "$home" ]; then
	mkdir -p "$cache"
	fresh=$(mktemp -d "$cache/installing.XXXXXX")
	echo '{"private":true}' >"$fresh/package.json"
	# The install scripts would build disk stores; all is kept in memory here.
	if ! npm install --prefix "$fresh" --save-exact --ignore-scripts --no-audit --no-fund "${packages[@]}" >"$fresh/install.log" 2>&1; then
		cat "$fresh/install.log" >&2
		rm -rf "$fresh"
		echo "emulators.sh: npm could not install ${packages[*]}" >&2
		exit 1
	fi
	# Somebody may have been faster; theirs is as good.
	if [ -d "$home" ]; then rm -rf "$fresh"; else mv "$fresh" "$home"; fi
fi

work=$(mktemp -d)
pids=()
command=
# shellcheck disable=SC2329 # called by trap
finish() {
	for pid in "${pids[@]}"; do
		kill "$pid" 2>/dev/null || true
	done
	# One that holds on to open connections is not waited for.
	for _ in $(seq 20); do
		kill -0 "${pids[@]}" 2>/dev/null || break
		sleep 0.1
	done
	for pid in "${pids[@]}"; do
		kill -KILL "$pid" 2>/dev/null || true
	done
	wait 2>/dev/null || true
	grep -h -A5 "survived:" "$work"/*.log | sed 's/^/emulators.sh: /' >&2 || true # nothing, mostly
	rm -rf "$work"
}
trap finish EXIT
# The command runs in the background, because bash would not hear a signal before a foreground one has ended.
trap '[ -z "$command" ] || kill "$command" 2>/dev/null; exit 130' INT
trap '[ -z "$command" ] || kill "$command" 2>/dev/null; exit 143' TERM

# Whatever port and address a server asks for, it gets a free port of 127.0.0.1, and the port is written down. An exception
# that a server does not catch (kinesalite was gone in the middle of one chaos run; why was not seen) is said, and the
# server goes on, as what it stands in for would: its data would be gone with it.
cat >"$work/loopback.js" <<'JS'
const fs = require("fs"), net = require("net"), tls = require("tls");
process.on("uncaughtException", (e) => console.error("survived:", e));
const listen = net.Server.prototype.listen;
net.Server.prototype.listen = function (...args) {
	if (!(this instanceof tls.Server)) {
		this.once("listening", () => {
			fs.writeFileSync(process.env.PORT_FILE + ".new", String(this.address().port));
			fs.renameSync(process.env.PORT_FILE + ".new", process.env.PORT_FILE);
		});
	}
	return listen.call(this, { port: 0, host: "127.0.0.1" }, ...args.filter((a) => typeof a === "function"));
};
JS

# start NAME COMMAND...: a server in the background, with its log in the work directory.
start() {
	local name=$1
	shift
	PORT_FILE=$work/$name.port "$@" >"$work/$name.log" 2>&1 &
	pids+=($!)
}

# endpoint NAME: the address of a server that was started, once it answers.
endpoint() {
	local name=$1
	for _ in $(seq 300); do
		if [ -s "$work/$name.port" ] && (exec 3<>"/dev/tcp/127.0.0.1/$(cat "$work/$name.port")") 2>/dev/null; then
			echo "http://127.0.0.1:$(cat "$work/$name.port")"
			return
		fi
		sleep 0.1
	done
	cat "$work/$name.log" >&2
	echo "emulators.sh: $name does not answer after 30 s" >&2
	return 1
}

modules=$home/node_modules
case $pair in
kinesalite)
	kinesis=kinesalite dynamodb=dynalite
	start kinesalite node -r "$work/loopback.js" "$modules/kinesalite/cli.js" \
		--createStreamMs 50 --deleteStreamMs 50 --updateStreamMs 50 --shardLimit 10000
	start dynalite node -r "$work/loopback.js" "$modules/dynalite/cli.js" \
		--createTableMs 50 --deleteTableMs 50 --updateTableMs 50
	;;
kinesis-local)
	kinesis=kinesis-local dynamodb=dynoxide
	start kinesis-local env SHARD_LIMIT=10000 LOG_LEVEL=ERROR AWS_REGION=us-east-1 \
		CREATE_STREAM_DURATION=50ms DELETE_STREAM_DURATION=50ms MERGE_SHARDS_DURATION=50ms \
		SPLIT_SHARD_DURATION=50ms UPDATE_SHARD_COUNT_DURATION=50ms \
		KINESIS_MOCK_CERT_PATH="$modules/kinesis-local/server.json" \
		node -r "$work/loopback.js" "$modules/kinesis-local/main.js"
	node -e 'const s = require("net").createServer().listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })' >"$work/dynoxide.port"
	start dynoxide "$modules/@dynoxide/$platform/dynoxide" --host 127.0.0.1 --port "$(cat "$work/dynoxide.port")"
	;;
esac

ROOTWATCH_KINESIS_ENDPOINT=$(endpoint $kinesis)
ROOTWATCH_DYNAMODB_ENDPOINT=$(endpoint $dynamodb)
export ROOTWATCH_KINESIS_ENDPOINT ROOTWATCH_DYNAMODB_ENDPOINT
export AWS_ENDPOINT_URL_KINESIS=$ROOTWATCH_KINESIS_ENDPOINT AWS_ENDPOINT_URL_DYNAMODB=$ROOTWATCH_DYNAMODB_ENDPOINT
export ROOTWATCH_EMULATOR=$kinesis,$dynamodb

"$@" <&0 &
command=$!
status=0
wait "$command" || status=$?
exit "$status"
