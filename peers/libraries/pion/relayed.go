package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"
	"time"

	"github.com/pion/webrtc/v4"
)

// relayed connects two connections by relays only: `pion relayed URL USER PASSWORD`; see ../README.md.
func relayed(url, user, password string, ended <-chan os.Signal) {
	servers := []webrtc.ICEServer{{URLs: []string{url}, Username: user, Credential: password}}
	configuration := webrtc.Configuration{ICEServers: servers, ICETransportPolicy: webrtc.ICETransportPolicyRelay}
	one, two := must(webrtc.NewPeerConnection(configuration)), must(webrtc.NewPeerConnection(configuration))
	// Both know the channel, so that none has to wait for it.
	isNegotiated, id := true, uint16(0)
	chat := &webrtc.DataChannelInit{Negotiated: &isNegotiated, ID: &id}
	talks := []*talk{newTalk(one, chat), newTalk(two, chat)}
	offer := describe(one, must(one.CreateOffer(nil)))
	take(two, webrtc.SDPTypeOffer, offer)
	answer := describe(two, must(two.CreateAnswer(nil)))
	take(one, webrtc.SDPTypeAnswer, answer)
	var done struct {
		Candidates []string `json:"candidates"`
		Heard      [][]int  `json:"heard"`
	}
	for _, line := range strings.Split(offer+answer, "\r\n") {
		if strings.HasPrefix(line, "a=candidate:") {
			done.Candidates = append(done.Candidates, line)
		}
	}
	last := time.Now().Add(patience)
	for _, talk := range talks {
		for len(talk.tell()) < 2 && time.Now().Before(last) {
			time.Sleep(10 * time.Millisecond)
		}
		done.Heard = append(done.Heard, talk.tell())
	}
	fmt.Println(string(must(json.Marshal(done))))
	<-ended
	// Close does not wait for the end of the relay.
	must(0, one.GracefulClose())
	must(0, two.GracefulClose())
}
