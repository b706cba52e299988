package main

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"os"
	"os/exec"
	"time"
)

// jsonOut is where a helper writes its one line.
var jsonOut io.Writer = os.Stdout

func deadline(d time.Duration) (context.Context, context.CancelFunc) {
	return context.WithTimeout(context.Background(), d)
}

// runHelper is this program in the role of a child process.
func runHelper(role, binary, data string, args []string) int {
	switch {
	case role == "host":
		return helperHost(binary, data)
	case role == "call" && len(args) == 2:
		return helperCall(args[1])
	}
	fmt.Fprintln(os.Stderr, "hostgo: unknown helper", role)
	return 2
}

// childHost is what a helper host prints about itself.
type childHost struct {
	Plugin int    `json:"plugin_pid"`
	Socket string `json:"socket"`
	Auth   bool   `json:"authenticated"`
	Error  string `json:"error,omitempty"`
}

// helperHost loads the plugin, authenticates the key that it reads from stdin, says so, and waits to be killed.
func helperHost(binary, data string) int {
	key, _ := bufio.NewReader(os.Stdin).ReadString('\n')
	key = key[:max(0, len(key)-1)]
	// The plugin inherits the host's stdin; this one is spent.
	env := &Env{Binary: binary, Secrets: NewSecrets()}
	ctx, cancel := deadline(20 * time.Second)
	defer cancel()
	out := childHost{}
	h, err := connect(env, Launch{Data: data})
	if err == nil {
		out.Plugin, out.Socket = h.pid, h.Socket()
		if err = h.Begin(ctx); err == nil {
			resp, authErr := h.Auth(ctx, key, grantedA)
			err = authErr
			out.Auth = resp.GetAuthenticated()
		}
	}
	out.Error = errText(err)
	_ = json.NewEncoder(jsonOut).Encode(out)
	time.Sleep(time.Minute) // the parent kills this process long before
	return 0
}

// helperCommand is this very program in a child's role.
func (t *T) helperCommand(args ...string) *exec.Cmd {
	self, err := os.Executable()
	t.Check(err, "own path")
	cmd := exec.CommandContext(t.ctx, self, args...)
	cmd.WaitDelay = time.Second
	return cmd
}

// child runs a helper to its end and reads its one line.
func (t *T) child(role string, args ...string) (map[string]string, error) {
	raw, err := t.helperCommand(append([]string{"-helper", role}, args...)...).Output()
	if err != nil {
		return nil, err
	}
	var out map[string]string
	return out, json.Unmarshal(raw, &out)
}
