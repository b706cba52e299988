package main

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"syscall"
	"time"
)

// statusMiB reads a memory figure (VmRSS, VmHWM) of a process, in MiB; 0 when the process is gone.
func statusMiB(pid int, field string) float64 {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/status", pid))
	if err != nil {
		return 0
	}
	for _, line := range strings.Split(string(raw), "\n") {
		if rest, ok := strings.CutPrefix(line, field+":"); ok {
			kib, _ := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			return kib / 1024
		}
	}
	return 0
}

// gone says whether a process has ended; a zombie that nobody has reaped yet has ended too.
func gone(pid int) bool {
	raw, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return true
	}
	text := string(raw)
	rest := text[strings.LastIndexByte(text, ')')+1:]
	state := strings.Fields(rest)
	return len(state) == 0 || state[0] == "Z" || state[0] == "X"
}

// endProcess makes sure that one process, which this program or its own child started, is gone.
func endProcess(pid int) {
	if pid > 1 && !gone(pid) {
		_ = syscall.Kill(pid, syscall.SIGCONT)
		_ = syscall.Kill(pid, syscall.SIGKILL)
		for end := time.Now().Add(2 * time.Second); !gone(pid) && time.Now().Before(end); {
			time.Sleep(5 * time.Millisecond)
		}
	}
}

func exists(path string) bool {
	_, err := os.Lstat(path)
	return err == nil
}
