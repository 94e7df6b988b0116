package pipeline_test

import "testing"

// No gate is told of a stream that has no client.
func TestPipelineUnattributed(t *testing.T) {
	s := newStage(t)
	v := s.visit(t, memory)
	v.request.Client.Unattributed = true
	go func() {
		s.HandleStream(t.Context(), v.request, v, nil)
		v.returned <- struct{}{}
	}()
	v.reply(t, nil)
	if n := s.Drain(ended(), ended()); n != 1 {
		t.Errorf("drain: got %d cut, want 1", n)
	}
	if got := s.gate.Kinds(); len(got) != 0 {
		t.Errorf("events: got %v, want none", got)
	}
}
