//! Processes as the kernel shows them.

use rustix::process::{Pid, Signal, kill_process, test_kill_process};

fn pid_of(pid: u32) -> Pid {
    Pid::from_raw(i32::try_from(pid).unwrap()).unwrap()
}

/// Sends a signal to one process.
pub fn signal(pid: u32, signal: Signal) {
    kill_process(pid_of(pid), signal).unwrap();
}

/// Whether the process is gone, or only waits to be reaped.
pub fn gone(pid: u32) -> bool {
    test_kill_process(pid_of(pid)).is_err() || state(pid) == Some('Z')
}

fn state(pid: u32) -> Option<char> {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    stat[stat.rfind(')')? + 1..].trim_start().chars().next()
}

/// A line of `/proc/PID/status` in KiB.
pub fn status_kib(pid: u32, name: &str) -> u64 {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap();
    let line = status.lines().find(|line| line.starts_with(name)).unwrap_or_else(|| panic!("no {name}"));
    line.split_whitespace().nth(1).unwrap().parse().unwrap()
}

/// A process that is killed on drop unless it is gone.
pub struct KillOnDrop(pub u32);

impl Drop for KillOnDrop {
    fn drop(&mut self) {
        if !gone(self.0) {
            let _ = kill_process(pid_of(self.0), Signal::KILL);
        }
    }
}
