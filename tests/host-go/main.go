// Command hostgo judges a latchkey binary from the other side of the wire: it starts the binary with
// hashicorp/go-plugin, just as Studio and the microgateway do, and prints one line a case.
package main

import (
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"time"
)

// Env is what all cases share.
type Env struct {
	Binary  string
	Tmp     string
	Verbose bool
	Secrets *Secrets
	shared  *Store
}

func main() {
	binary := flag.String("binary", "", "path of the latchkey binary to judge")
	pattern := flag.String("case", "", "run only the cases whose name matches this regular expression")
	verbose := flag.Bool("v", false, "print the plugin's log lines and the command lines run")
	list := flag.Bool("list", false, "print the names of the cases and stop")
	budget := flag.Duration("budget", 4*time.Minute, "time after which cases that have not begun count as failed")
	helper := flag.String("helper", "", "internal: the role of a child process")
	data := flag.String("data", "", "internal: data directory for -helper host")
	flag.Parse()

	if *helper != "" {
		os.Exit(runHelper(*helper, *binary, *data, flag.Args()))
	}
	cases := allCases()
	if *list {
		for _, c := range cases {
			fmt.Println(c.name)
		}
		return
	}
	match, err := regexp.Compile(*pattern)
	if err != nil || *binary == "" {
		fmt.Fprintln(os.Stderr, "usage: hostgo -binary PATH [-case REGEXP] [-v] [-list]", errText(err))
		os.Exit(2)
	}
	path, err := filepath.Abs(*binary)
	if err == nil {
		_, err = os.Stat(path)
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, "hostgo:", err)
		os.Exit(2)
	}
	os.Exit(runAll(path, cases, match, *verbose, *budget))
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// runAll runs the chosen cases one after the other, in a temporary directory that it removes.
func runAll(binary string, cases []Case, match *regexp.Regexp, verbose bool, budget time.Duration) int {
	if !verbose {
		log.SetOutput(io.Discard) // go-plugin's broker writes here
	}
	cleanEnvironment()
	tmp, err := os.MkdirTemp("", "lkhost")
	if err != nil {
		fmt.Fprintln(os.Stderr, "hostgo:", err)
		return 2
	}
	defer os.RemoveAll(tmp)
	os.Setenv("TMPDIR", tmp) // sockets of both sides go here

	interrupted := make(chan os.Signal, 1)
	signal.Notify(interrupted, os.Interrupt, syscall.SIGTERM)
	go func() {
		<-interrupted
		os.RemoveAll(tmp)
		os.Exit(130) // plugins notice that their host is gone
	}()

	env := &Env{Binary: binary, Tmp: tmp, Verbose: verbose, Secrets: NewSecrets()}
	env.Secrets.Add(headerCanary)
	env.Secrets.Add(bodyCanary)
	end := time.Now().Add(budget)
	passed, failed := 0, 0
	for _, c := range cases {
		if !match.MatchString(c.name) {
			continue
		}
		start := time.Now()
		var notes []string
		err := fmt.Errorf("not begun: the whole run's time is used up")
		if left := time.Until(end); left > 0 {
			notes, err = runCase(env, c, min(c.timeout, left+10*time.Second))
		}
		note := ""
		if len(notes) > 0 {
			note = "  (" + strings.Join(notes, "; ") + ")"
		}
		if err != nil {
			failed++
			fmt.Printf("FAIL  %s: %s%s\n", c.name, oneLine(err.Error()), note)
			continue
		}
		passed++
		fmt.Printf("ok    %s   %dms%s\n", c.name, time.Since(start).Milliseconds(), note)
	}
	fmt.Printf("%d passed, %d failed\n", passed, failed)
	if failed > 0 || passed == 0 {
		return 1
	}
	return 0
}

// cleanEnvironment drops what a polluted shell would hand on to every plugin.
func cleanEnvironment() {
	for _, kv := range os.Environ() {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "LATCHKEY_") || strings.HasPrefix(name, "PLUGIN_") || name == "AI_STUDIO_PLUGIN" {
			os.Unsetenv(name)
		}
	}
}

func oneLine(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) > 900 {
		s = s[:900] + "..."
	}
	return s
}
