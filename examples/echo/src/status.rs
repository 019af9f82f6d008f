//! What a call is at, as JSON.

use plenary_srtp::Profile;
use plenary_transport::{DropReason, DtlsRole, DtlsVersion};
use serde_json::{Map, Value, json};

use crate::call::Call;
use crate::track::{Incoming, Track};

impl Call {
    pub(crate) fn status(&self) -> Value {
        let ice = self.transport.ice();
        let selected = ice.selected().map(|pair| {
            json!({
                "local": pair.local.to_string(),
                "localKind": pair.local_kind.as_str(),
                "remote": pair.remote.to_string(),
                "remoteKind": pair.remote_kind.as_str(),
                "roundTripMs": pair.rtt.map(|rtt| rtt.as_secs_f64() * 1e3),
            })
        });
        let dtls = self.connected.map(|it| {
            let version = if it.version == DtlsVersion::Dtls13 { "1.3" } else { "1.2" };
            let role = if it.role == DtlsRole::Client { "client" } else { "server" };
            json!({ "version": version, "role": role })
        });
        let parameters = ice.local_parameters();
        json!({
            "ice": {
                "state": format!("{:?}", ice.state()),
                "lite": parameters.lite,
                "role": format!("{:?}", ice.role()).to_lowercase(),
                "ufrag": parameters.credentials.ufrag(),
                "selected": selected,
            },
            "dtls": dtls,
            "srtp": self.connected.map(|it| name(it.profile)),
            "closed": self.transport.closed().map(|reason| format!("{reason:?}")),
            "roundTripMs": self.media.round_trip.smoothed().map(|it| it.as_secs_f64() * 1e3),
            "received": {
                "rtp": self.media.counters.rtp,
                "rtcp": self.media.counters.rtcp,
                "unused": self.media.counters.unused,
            },
            "tracks": self.media.tracks.iter().map(track).collect::<Vec<_>>(),
            "dataChannels": { "messages": self.messages },
            "dropped": self.dropped(),
        })
    }

    /// How many datagrams and packets were dropped, by reason; those that were not are left out.
    fn dropped(&self) -> Map<String, Value> {
        let own = [
            ("MalformedMedia".to_owned(), self.media.counters.malformed),
            ("UnknownSource".to_owned(), self.media.counters.unknown_source),
        ];
        let reasons = DropReason::all().map(|reason| (format!("{reason:?}"), self.transport.dropped(reason)));
        reasons.chain(own).filter(|(_, count)| *count > 0).map(|(reason, count)| (reason, count.into())).collect()
    }
}

fn track(track: &Track) -> Value {
    let codec = track.section.as_ref().and_then(|section| section.codecs.first());
    let repeats = track.outgoing.repeats();
    json!({
        "mid": track.mid.as_str(),
        "kind": track.kind.to_string(),
        "codec": codec.map(|codec| codec.format.to_string()),
        "direction": track.section.as_ref().map(|section| section.direction.to_string()),
        "received": track.incoming.as_ref().map(incoming),
        "sent": {
            "ssrc": track.outgoing.ssrc.0,
            "packets": track.outgoing.packets(),
            "retransmitted": repeats.retransmitted,
            "notRetransmitted": repeats.unknown + repeats.too_soon + repeats.over_budget,
        },
    })
}

fn incoming(incoming: &Incoming) -> Value {
    let counters = incoming.receive.counters();
    json!({
        "ssrc": incoming.receive.ssrc().0,
        "packets": counters.packets,
        "frames": incoming.frames,
        "keyFrames": incoming.key_frames,
        "asked": counters.asked,
        "repaired": counters.repaired,
        "givenUp": counters.given_up,
        "pictureRequests": incoming.picture.requests(),
    })
}

/// As IANA's registry of profiles has it.
fn name(profile: Profile) -> String {
    match profile {
        Profile::AeadAes128Gcm => "SRTP_AEAD_AES_128_GCM".to_owned(),
        Profile::AeadAes256Gcm => "SRTP_AEAD_AES_256_GCM".to_owned(),
        Profile::Aes128CmHmacSha1_80 => "SRTP_AES128_CM_HMAC_SHA1_80".to_owned(),
        Profile::Aes128CmHmacSha1_32 => "SRTP_AES128_CM_HMAC_SHA1_32".to_owned(),
        other => format!("{other:?}"),
    }
}
