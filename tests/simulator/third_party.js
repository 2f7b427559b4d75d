// A call run by ari-client, a client of ARI that knows nothing of this project. Usage: node third_party.js
// MODULES URL USER PASSWORD SOUND. Each line it prints is a JSON list, for the test to read.
'use strict';

const net = require('net');

const tell = (...what) => console.log(JSON.stringify(what));

// Nothing may leave this machine: whoever tries stops the program.
const connect = net.Socket.prototype.connect;
net.Socket.prototype.connect = function (...args) {
  const where = Array.isArray(args[0]) ? args[0][0] : args[0];
  const host = (where && where.host) || 'localhost';
  if (!['127.0.0.1', 'localhost'].includes(host)) {
    tell('left loopback', host);
    process.exit(2);
  }
  return connect.apply(this, args);
};

const [modules, url, user, password, sound] = process.argv.slice(2);
const ari = require(`${modules}/ari-client`);

async function run() {
  const client = await ari.connect(url, user, password);
  tell('methods', Object.keys(client).filter((name) => client[name] && client[name].list).sort());

  client.on('StasisStart', async (event, channel) => {
    tell('StasisStart', event.args, channel.caller.number);
    channel.on('ChannelDtmfReceived', (key) => tell('key', key.digit));
    await channel.answer();
    const playback = client.Playback();
    playback.once('PlaybackFinished', async (finished) => {
      tell('PlaybackFinished', finished.playback.state);
      const recording = client.LiveRecording(null, { name: 'from-afar' });
      recording.once('RecordingFinished', async (ended) => {
        tell('RecordingFinished', ended.recording.duration);
        const file = await client.recordings.getStoredFile({ recordingName: 'from-afar' });
        tell('file', file.slice(0, 4).toString(), file.length);
        await channel.hangup();
      });
      await channel.record({ name: 'from-afar', format: 'wav', terminateOn: '#' }, recording);
    });
    await channel.play({ media: sound }, playback);
    tell('channels', (await client.channels.list()).length);
    await client.channels.get({ channelId: 'nobody' }).catch((error) => tell('refused', error.message));
    const bridge = await client.bridges.create({ type: 'mixing', name: 'empty' });
    tell('bridge', bridge.name);
    await bridge.destroy();
  });
  client.on('StasisEnd', () => {
    tell('StasisEnd');
    client.stop();
    setTimeout(() => process.exit(0), 50);
  });
  await client.start('flowengine');
  tell('ready');
}

run().catch((error) => {
  tell('failed', String(error && error.stack ? error.stack : error));
  process.exit(1);
});
