/**
 * The only shell text of the runtimes. It is constant: whatever varies is an argument, a file descriptor or the
 * environment, so no input can become code.
 *
 * Chain of one start; `→` is exec (same pid), `+` is a child:
 *
 *   keeper (agent's user, own session)
 *     + copier stdout, copier stderr        cat FIFO >> log file
 *     + stage (session of its own) joins cgroups → [setpriv → bwrap +] launch → or + sh -c COMMAND
 *
 * Why pipes and not the files themselves: an app that opens /dev/stdout again (`echo x > /dev/stderr`) would truncate
 * a file. Why named pipes: an unnamed one belongs to the agent's user, and the app's user could not open it again.
 * Why not a keeper in JavaScript: it would cost 40 MB an instance; this one is three small processes of 1 MB.
 * Why the environment comes by descriptor 3 and is read only by `launch`, after the change of user and inside the
 * sandbox: LD_PRELOAD, PATH or ENV of an app must not act on programs that run with the agent's rights.
 */

/**
 * Arguments: keep RUN_DIR OWNER COMMAND… | stage RUN_DIR CGROUP_PROCS… -- COMMAND…
 * Files in RUN_DIR are written in place, one write each and ended by a newline, so that a reader sees all or nothing
 * and a full disk cannot lose an exit status (the agent has written the same blocks before).
 */
export const keeperScript = `#!/bin/sh
# Keeps one instance: copies its output to files and writes down its exit status. Written by paas-agent.
mode=$1 dir=$2
shift 2
stat_line() { read -r line <"/proc/$$/stat" || line="$$"; }

if [ "$mode" = stage ]; then
  stat_line
  echo "$line" 1<>"$dir/app"
  while [ "$1" != -- ]; do
    echo $$ >"$1" || exit 125
    shift
  done
  shift
  exec "$@"
fi

owner=$1
shift
trap '' TERM INT HUP
umask 077
cd "$dir" || exit 125
stat_line
echo "$line" 1<>keeper
rm -f stdout.fifo stderr.fifo
mkfifo stdout.fifo stderr.fifo || exit 125
[ "$owner" = - ] || chown "$owner" stdout.fifo stderr.fifo || exit 125

# A full disk makes cat fail. The app must not stop for that: output is thrown away until a mark can be written, one
# read at a time, so that an app that says little does not lose what it says once there is space again.
copy() {
  until cat; do
    until printf '\\n[paas] output was lost here: the log file could not be written\\n'; do
      dd bs=65536 count=1 of=/dev/null
      sleep 0.1
    done
  done 2>/dev/null
}
copy <stdout.fifo >>"$1" 3<&- &
out=$!
copy <stderr.fifo >>"$2" 3<&- &
err=$!
shift 2
echo "$out $err" 1<>copiers

(
  trap - TERM INT HUP
  exec >stdout.fifo 2>stderr.fifo
  rm -f stdout.fifo stderr.fifo
  if command -v setsid >/dev/null; then exec setsid /bin/sh "$0" stage "$dir" "$@"; fi
  exec /bin/sh "$0" stage "$dir" "$@"
) 3<&3
echo $? 1<>exit
exec 3<&-
wait
`;

/**
 * First process under the app's own user. Arguments: MODE COMMAND. Descriptor 3: the environment as shell text.
 * `exec` replaces itself by the command. `wait` (sandbox) stays: there the end of the first process ends the whole
 * PID namespace, so while stopping it lives until the rest of the app has finished its work.
 */
export const launchScript = `eval "$(cat <&3)"
exec 3<&-
umask 022
cd "$HOME" || exit 125
if [ "$1" = exec ]; then exec /bin/sh -c "$2"; fi
paas_stop=
trap 'paas_stop=1' TERM
# This shell's own remarks ("Terminated") are not the app's. A subshell, since dash redirects for a plain command itself.
exec 4>&2 2>/dev/null
(exec /bin/sh -c "$2" 2>&4 4>&-)
set -- $? /proc/[0-9]*
while [ "$paas_stop" ] && [ $# -gt 3 ]; do
  sleep 0.05
  set -- "$1" /proc/[0-9]*
done
exit "$1"
`;

/** Runs a program with the environment of descriptor 3, in place of this shell. Arguments: PROGRAM ARGUMENTS… */
export const enterScript = `eval "$(cat <&3)"
exec 3<&-
umask 022
cd "$HOME" || exit 125
exec "$@"
`;
