package main

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"regexp"
	"runtime"
	"sync"
	"time"
)

var (
	stampForm  = regexp.MustCompile(`^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}(Z|[+-]\d\d:\d\d)$`)
	levelNames = map[string]bool{"trace": true, "debug": true, "info": true, "warn": true, "error": true}
)

// LogSink takes a plugin's stderr, byte for byte, and judges each line by the rules of hclog and of secrecy.
type LogSink struct {
	secrets *Secrets
	name    string
	echo    bool
	anyForm bool // a server of its own may log in another form; only secrets matter there

	mu      sync.Mutex
	rest    []byte
	lines   int
	levels  map[string]int
	bad     []string
	crashed bool
}

// Write implements io.Writer. go-plugin calls it with a line before it looks into the line itself.
func (s *LogSink) Write(p []byte) (int, error) {
	s.mu.Lock()
	whole := !bytes.Contains(p, []byte{'\n'}) // go-plugin hands over the line and its end separately
	var fatal bool
	if whole && len(s.rest) == 0 && crashesHost(p) && !s.anyForm {
		s.crashed, fatal = true, true
		s.complain("a line that crashes a Go host", p)
	}
	s.rest = append(s.rest, p...)
	for {
		line, rest, found := bytes.Cut(s.rest, []byte{'\n'})
		if !found {
			break
		}
		s.judge(line)
		s.rest = append([]byte(nil), rest...)
	}
	s.mu.Unlock()
	if fatal {
		runtime.Goexit() // ends only go-plugin's reader, which would else panic and take this program along
	}
	return len(p), nil
}

func (s *LogSink) complain(what string, line []byte) {
	if len(s.bad) < 5 {
		if len(line) > 200 {
			line = line[:200]
		}
		s.bad = append(s.bad, fmt.Sprintf("%s: %s", what, line))
	}
}

// judge is called with the lock held.
func (s *LogSink) judge(line []byte) {
	s.lines++
	if s.echo {
		fmt.Fprintf(os.Stderr, "      [%s] %s\n", s.name, line)
	}
	if s.secrets.FoundIn(line) {
		s.complain("a secret in a log line", []byte(fmt.Sprintf("line %d, %d bytes, text withheld", s.lines, len(line))))
	}
	if s.anyForm {
		return
	}
	if len(line) >= 64*1024 {
		s.complain("a log line of 64 KiB or more", line)
		return
	}
	var fields map[string]any
	if err := json.Unmarshal(line, &fields); err != nil {
		s.complain("not a JSON object", line)
		return
	}
	for _, key := range []string{"@message", "@level", "@timestamp"} {
		if _, ok := fields[key].(string); !ok {
			s.complain(key+" is not a string", line)
			return
		}
	}
	level := fields["@level"].(string)
	if !levelNames[level] {
		s.complain("unknown @level", line)
	}
	if stamp := fields["@timestamp"].(string); !stampForm.MatchString(stamp) {
		s.complain("@timestamp without six fraction digits", line)
	} else if _, err := time.Parse(time.RFC3339Nano, stamp); err != nil {
		s.complain("@timestamp is no time", line)
	}
	for key, v := range fields {
		switch v.(type) {
		case map[string]any, []any:
			s.complain("nested field "+key, line)
		}
	}
	if s.levels == nil {
		s.levels = map[string]int{}
	}
	s.levels[level]++
}

// crashesHost recognises the lines on which a Go host's unchecked type assertion panics.
func crashesHost(line []byte) bool {
	var fields map[string]any
	if json.Unmarshal(line, &fields) != nil {
		return false
	}
	for _, key := range []string{"@message", "@level", "@timestamp"} {
		if v, there := fields[key]; there {
			if _, ok := v.(string); !ok {
				return true
			}
		}
	}
	return false
}

// Verdict says what was wrong with the lines seen so far.
func (s *LogSink) Verdict() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.bad) == 0 {
		return nil
	}
	return fmt.Errorf("stderr of %s: %d bad lines, first: %s", s.name, len(s.bad), s.bad[0])
}

// Count returns how many lines were seen and how many of one level.
func (s *LogSink) Count(level string) (lines, ofLevel int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.lines, s.levels[level]
}
