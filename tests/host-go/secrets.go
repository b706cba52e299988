package main

import "sync"

// gramSize is how many consecutive characters of a secret count as a leak.
const gramSize = 8

// Secrets knows every secret of the run and finds parts of them in text.
type Secrets struct {
	mu    sync.RWMutex
	grams map[string]struct{}
}

// NewSecrets makes an empty set.
func NewSecrets() *Secrets { return &Secrets{grams: map[string]struct{}{}} }

// Add registers the text of a secret (its random part only: ids and prefixes may be logged).
func (s *Secrets) Add(secret string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := 0; i+gramSize <= len(secret); i++ {
		s.grams[secret[i:i+gramSize]] = struct{}{}
	}
}

// FoundIn says whether any eight consecutive characters of any secret appear.
func (s *Secrets) FoundIn(text []byte) bool {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for i := 0; i+gramSize <= len(text); i++ {
		if _, ok := s.grams[string(text[i:i+gramSize])]; ok {
			return true
		}
	}
	return false
}
