package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"runtime/debug"
	"slices"
	"strings"
	"sync"
	"time"
)

// Case is one named check. Its function stops at the first T.Fatalf.
type Case struct {
	name    string
	timeout time.Duration
	run     func(t *T)
}

// T is what a running case works with.
type T struct {
	*Env
	ctx context.Context

	mu       sync.Mutex
	notes    []string
	cleanups []func()
	over     bool
	problems []error
}

type failure struct{ err error }

// Fatalf ends the case. Only the case's own goroutine may call it; others use Problem.
func (t *T) Fatalf(format string, args ...any) { panic(failure{fmt.Errorf(format, args...)}) }

// Check ends the case when err is not nil.
func (t *T) Check(err error, what string) {
	if err != nil {
		t.Fatalf("%s: %w", what, err)
	}
}

// Assert ends the case when the condition does not hold.
func (t *T) Assert(ok bool, format string, args ...any) {
	if !ok {
		t.Fatalf(format, args...)
	}
}

// Problem records a failure without stopping the case.
func (t *T) Problem(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.problems = append(t.problems, fmt.Errorf(format, args...))
}

// Note adds a remark to the case's line.
func (t *T) Note(format string, args ...any) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.notes = append(t.notes, fmt.Sprintf(format, args...))
}

// Cleanup registers what must happen after the case, last registered first.
func (t *T) Cleanup(f func()) {
	t.mu.Lock()
	over := t.over
	t.cleanups = append(t.cleanups, f)
	t.mu.Unlock()
	if over { // a case that hung has come back too late
		f()
	}
}

// TempDir makes a directory below the run's own.
func (t *T) TempDir() string {
	dir, err := os.MkdirTemp(t.Tmp, "d")
	t.Check(err, "temp dir")
	return dir
}

// Sleep waits, or ends the case when its time is over.
func (t *T) Sleep(d time.Duration) {
	select {
	case <-time.After(d):
	case <-t.ctx.Done():
		t.Fatalf("the case's time is over")
	}
}

// Until polls a condition every few milliseconds.
func (t *T) Until(limit time.Duration, what string, ok func() bool) time.Duration {
	start := time.Now()
	for !ok() {
		if time.Since(start) > limit {
			t.Fatalf("%s: not within %s", what, limit)
		}
		t.Sleep(5 * time.Millisecond)
	}
	return time.Since(start)
}

// runCase runs one case in its own goroutine, so that one that hangs cannot hold up the others.
func runCase(env *Env, c Case, limit time.Duration) ([]string, error) {
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	t := &T{Env: env, ctx: ctx}
	done := make(chan error, 1)
	go func() {
		defer func() {
			switch r := recover().(type) {
			case nil:
				done <- nil
			case failure:
				done <- r.err
			default:
				done <- fmt.Errorf("the case itself broke: %v\n%s", r, debug.Stack())
			}
		}()
		c.run(t)
	}()

	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		select {
		case err = <-done: // it noticed by itself and says where
		case <-time.After(500 * time.Millisecond):
			err = fmt.Errorf("no end within %s", limit.Round(time.Millisecond))
		}
	}
	t.mu.Lock()
	t.over = true
	cleanups := t.cleanups
	t.mu.Unlock()
	for _, f := range slices.Backward(cleanups) {
		f()
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.notes, joined(append([]error{err}, t.problems...))
}

// joined makes one error of several, each text once.
func joined(errs []error) error {
	var texts []string
	for _, err := range errs {
		for _, line := range strings.Split(errText(err), "\n") {
			if line != "" && !slices.Contains(texts, line) {
				texts = append(texts, line)
			}
		}
	}
	if len(texts) == 0 {
		return nil
	}
	return errors.New(strings.Join(texts, " | "))
}

// allCases lists every case in the order in which they run.
func allCases() []Case {
	groups := [][]Case{
		startCases, lifeCases, tlsCases, configCases, authCases, endpointCases, directoryCases, preAuthCases, objectCases, defaultsCases, surfaceCases,
		sessionCases, attachCases, storeCases, deathCases, hostDeathCases, loadCases, bodyCases, logCases,
	}
	var all []Case
	for _, g := range groups {
		all = append(all, g...)
	}
	return all
}
