package main

import (
	"crypto/rand"
	"hash/crc32"
	"strings"
)

const checkSize = 6

var alphabets = []string{
	"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz",
	"0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ",
	"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789",
}

// split cuts a key before its random part and before its checksum.
func (k Key) split() (head, secret, check string, ok bool) {
	cut := strings.LastIndexByte(k.Text, '_') + 1
	if cut == 0 || len(k.Text)-cut < checkSize+20 || strings.Count(k.Text, "_") != 3 {
		return "", "", "", false
	}
	end := len(k.Text) - checkSize
	return k.Text[:cut], k.Text[cut:end], k.Text[end:], true
}

func (k Key) secretPart() (string, bool) {
	_, secret, _, ok := k.split()
	return secret, ok
}

// checksum is a CRC-32 in base62, most significant digit first, padded to six digits.
func checksum(text, alphabet string) string {
	n := crc32.ChecksumIEEE([]byte(text))
	out := make([]byte, checkSize)
	for i := checkSize - 1; i >= 0; i-- {
		out[i] = alphabet[n%62]
		n /= 62
	}
	return string(out)
}

// resealed puts a right checksum on changed text. It learns the alphabet from a good key and says whether it could.
func (k Key) resealed(text string) (string, bool) {
	_, _, check, ok := k.split()
	if !ok {
		return "", false
	}
	for _, a := range alphabets {
		if checksum(k.Text[:len(k.Text)-checkSize], a) == check {
			return text + checksum(text, a), true
		}
	}
	return "", false
}

// randomText makes base62 text that no other part of the run contains.
func randomText(n int) string {
	raw := make([]byte, n)
	rand.Read(raw)
	for i, b := range raw {
		raw[i] = alphabets[0][int(b)%62]
	}
	return string(raw)
}

// canary makes random text and registers it, so that a log line that repeats it is a finding.
func (t *T) canary(n int) string {
	text := randomText(n)
	t.Secrets.Add(text)
	return text
}
