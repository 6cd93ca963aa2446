#!/bin/bash
# A real SLURM with two nodes and a stand-in GPU each, on one Debian machine, for the tests marked `slurm`.
#
#   slurm.sh install    the daemons, as system packages (apt; needs root and a network)
#   slurm.sh start      controller and nodes n1, n2, after `install` where they are missing; nothing when they answer
#   slurm.sh stop       end what `start` began, by pid files, and no other daemon
#   slurm.sh run CMD    CMD with SLURM_CONF set, so that sbatch, srun and sinfo find this SLURM
#
# Everything lives in $TMEPDE_SLURM (default /var/lib/tmepde-slurm): a SLURM configured in /etc/slurm is not touched.
# A job belongs to whoever submits it; the daemons run as root, as slurmd must in order to start jobs.
set -euo pipefail

ROOT=${TMEPDE_SLURM:-/var/lib/tmepde-slurm}
export SLURM_CONF=$ROOT/slurm.conf
HOST=$(hostname -s)
NODES=2

die() { echo "slurm.sh: $*" >&2; exit 5; }

alive() { [ -s "$ROOT/$1.pid" ] && kill -0 "$(cat "$ROOT/$1.pid")" 2>/dev/null; }

idle() { timeout 10 sinfo --noheader --states=idle --format=%D 2>/dev/null | awk '{n += $1} END {print n + 0}'; }

install() {
    apt-get update -q
    DEBIAN_FRONTEND=noninteractive apt-get install -y -q --no-install-recommends slurmctld slurmd slurm-client munge
}

absent() {
    for program in munged slurmctld slurmd sbatch; do
        PATH=$PATH:/usr/sbin command -v $program > /dev/null || echo -n "$program "
    done
}

# Half of the memory, shared out evenly; the processors are those of the machine, on each node.
configure() {
    local memory cpus
    memory=$(awk -v n=$NODES '/MemTotal/ {print int($2 / 1024 / 2 / n)}' /proc/meminfo)
    cpus=$(nproc --all)
    mkdir -p "$ROOT" "$ROOT/spool" "$ROOT/state"
    chmod 755 "$ROOT"
    [ -s "$ROOT/munge.key" ] || (umask 077 && head -c 128 /dev/urandom > "$ROOT/munge.key")
    cat > "$SLURM_CONF" <<CONF
ClusterName=tmepde
SlurmctldHost=$HOST(127.0.0.1)
SlurmctldPort=17000
SlurmUser=root
AuthType=auth/munge
AuthInfo=socket=$ROOT/munge.socket
CredType=cred/munge
ProctrackType=proctrack/linuxproc
TaskPlugin=task/none
JobAcctGatherType=jobacct_gather/none
AccountingStorageType=accounting_storage/none
SelectType=select/cons_tres
SelectTypeParameters=CR_Core_Memory
ReturnToService=2
MpiDefault=none
GresTypes=gpu
KillWait=15
SlurmdParameters=config_overrides
SchedulerParameters=sched_interval=2,batch_sched_delay=0,bf_interval=2
StateSaveLocation=$ROOT/state
SlurmdSpoolDir=$ROOT/spool/%n
SlurmctldPidFile=$ROOT/slurmctld.pid
SlurmdPidFile=$ROOT/%n.pid
SlurmctldLogFile=$ROOT/slurmctld.log
SlurmdLogFile=$ROOT/%n.log
NodeName=n[1-$NODES] NodeHostname=$HOST NodeAddr=127.0.0.1 Port=[17001-1700$NODES] CPUs=$cpus RealMemory=$memory Gres=gpu:1 State=UNKNOWN
PartitionName=gpu Nodes=ALL Default=YES MaxTime=INFINITE State=UP
CONF
    echo "AutoDetect=off" > "$ROOT/gres.conf"
    for i in $(seq $NODES); do
        mkdir -p "$ROOT/spool/n$i"
        # A character device is what slurmd asks of a GPU: a plain file would leave CUDA_VISIBLE_DEVICES empty.
        [ -c "$ROOT/gpu$i" ] || mknod "$ROOT/gpu$i" c 1 3
        echo "NodeName=n$i Name=gpu File=$ROOT/gpu$i Flags=nvidia_gpu_env" >> "$ROOT/gres.conf"
        grep -qE "[[:space:]]n$i([[:space:]]|\$)" /etc/hosts || echo "127.0.0.1 n$i" >> /etc/hosts
    done
}

start() {
    [ "$(idle)" -eq $NODES ] && { echo "two nodes answer already"; return; }
    [ "$(id -u)" -eq 0 ] || die "the daemons of the test SLURM must be started by root. Use a machine where you are, such as a container."
    missing=$(absent)
    if [ -n "$missing" ]; then
        command -v apt-get > /dev/null || die "$missing must be installed, but there is no apt-get to do it."
        install > /dev/null
        missing=$(absent)
        [ -z "$missing" ] || die "$missing cannot be installed."
    fi
    configure
    alive munged || /usr/sbin/munged --force --key-file="$ROOT/munge.key" --socket="$ROOT/munge.socket" \
        --pid-file="$ROOT/munged.pid" --log-file="$ROOT/munged.log" --seed-file="$ROOT/munge.seed"
    alive slurmctld || /usr/sbin/slurmctld -c -f "$SLURM_CONF"
    for i in $(seq $NODES); do alive "n$i" || /usr/sbin/slurmd -f "$SLURM_CONF" -N "n$i"; done
    for _ in $(seq 60); do
        [ "$(idle)" -eq $NODES ] && { sinfo; return; }
        sleep 0.5
    done
    sinfo || true
    die "the nodes did not become idle in 30 s. See $ROOT/*.log."
}

stop() {
    for name in $(seq -f n%g $NODES) slurmctld munged; do
        if alive "$name"; then kill "$(cat "$ROOT/$name.pid")"; fi
    done
    for _ in $(seq 40); do
        alive slurmctld || alive munged || alive n1 || alive n2 || return 0
        sleep 0.25
    done
    die "some daemons go on: $(cat "$ROOT"/*.pid | tr '\n' ' ')"
}

case ${1:-} in
    install) install ;;
    start) start ;;
    stop) stop ;;
    run) shift; exec "$@" ;;
    *) sed -n '2,11s/^# \{0,1\}//p' "$0"; exit 2 ;;
esac
