//! The plugin's process: its two pipes, its end.

use std::io;
use std::process::ExitStatus;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, BufReader};
use tokio::process::{Child, ChildStdout};
use tokio::task::JoinHandle;

use super::handshake::MAX_LINE;
use super::logs::Logs;

/// A child that is killed when this is dropped.
pub struct Process {
    child: Child,
    pid: u32,
    logs: Logs,
    stderr: JoinHandle<()>,
    stdout: Stdout,
    after_line: Arc<AtomicU64>,
}

enum Stdout {
    Unread(BufReader<ChildStdout>),
    Drained(JoinHandle<()>),
    Closed,
}

impl Process {
    /// Takes over a child with both outputs piped.
    pub(super) fn new(mut child: Child) -> io::Result<Self> {
        let gone = || io::Error::other("the child has no pipes");
        let (out, err) = (child.stdout.take().ok_or_else(gone)?, child.stderr.take().ok_or_else(gone)?);
        let pid = child.id().ok_or_else(gone)?;
        let logs = Logs::default();
        let stderr = tokio::spawn(logs.clone().read(err));
        let stdout = Stdout::Unread(BufReader::new(out));
        Ok(Self { child, pid, logs, stderr, stdout, after_line: Arc::default() })
    }

    /// Its process id.
    pub fn pid(&self) -> u32 {
        self.pid
    }

    /// What it wrote to stderr.
    pub fn logs(&self) -> &Logs {
        &self.logs
    }

    /// Bytes it wrote to stdout after the handshake line; should stay 0.
    pub fn stdout_after_line(&self) -> u64 {
        self.after_line.load(Ordering::Relaxed)
    }

    /// The first line of stdout with its end, empty when stdout was closed before; then goes on reading and
    /// throws away what comes, as Go hosts do.
    pub(super) async fn first_line(&mut self) -> io::Result<Vec<u8>> {
        let Stdout::Unread(mut reader) = std::mem::replace(&mut self.stdout, Stdout::Closed) else {
            return Ok(Vec::new());
        };
        let mut line = Vec::new();
        (&mut reader).take(MAX_LINE as u64).read_until(b'\n', &mut line).await?;
        let counter = Arc::clone(&self.after_line);
        self.stdout = Stdout::Drained(tokio::spawn(async move {
            let mut buffer = [0; 4096];
            while let Ok(count @ 1..) = reader.read(&mut buffer).await {
                counter.fetch_add(count as u64, Ordering::Relaxed);
            }
        }));
        Ok(line)
    }

    /// Closes the host's end of stdout, as a host that dies does.
    pub fn close_stdout(&mut self) {
        if let Stdout::Drained(task) = std::mem::replace(&mut self.stdout, Stdout::Closed) {
            task.abort();
        }
    }

    /// Whether it has ended, and how.
    pub fn exited(&mut self) -> Option<ExitStatus> {
        self.child.try_wait().ok().flatten()
    }

    /// Waits for its end, at most so long.
    pub async fn wait(&mut self, limit: Duration) -> Option<ExitStatus> {
        tokio::time::timeout(limit, self.child.wait()).await.ok().and_then(Result::ok)
    }

    /// SIGKILL, and reaps it.
    pub async fn kill_now(&mut self) -> Option<ExitStatus> {
        let _ = self.child.start_kill();
        self.wait(Duration::from_secs(10)).await
    }

    /// Waits until both pipes are at their end; false when somebody else still holds one after `limit`.
    pub(super) async fn pipes_end(&mut self, limit: Duration) -> bool {
        let stdout = std::mem::replace(&mut self.stdout, Stdout::Closed);
        let stderr = &mut self.stderr;
        let ends = async move {
            if let Stdout::Drained(task) = stdout {
                let _ = task.await;
            }
            if !stderr.is_finished() {
                let _ = stderr.await;
            }
        };
        tokio::time::timeout(limit, ends).await.is_ok()
    }
}
