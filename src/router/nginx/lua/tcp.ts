/**
 * What nginx's `stream` asks for each TCP connection, in its JavaScript (njs): it has no Lua there, and no memory that its
 * workers share. They share files instead (tcp-files.ts): an empty one for each open connection.
 */
export const tcpJs = (directory: string): string => String.raw`
import fs from 'fs';

var home = ${JSON.stringify(directory)};
var avoidMs = 2000;
// From this number on two random ones are compared instead of all.
var large = 8;

function open(place) {
  try {
    return fs.readdirSync(home + '/open/' + place).length;
  } catch (e) {
    return 0;
  }
}

function avoided(place) {
  try {
    return Date.now() - fs.statSync(home + '/avoid/' + place).mtimeMs < avoidMs;
  } catch (e) {
    return false;
  }
}

function shuffled(list) {
  for (var i = list.length - 1; i > 0; i--) {
    var j = Math.floor(Math.random() * (i + 1));
    var one = list[i];
    list[i] = list[j];
    list[j] = one;
  }
  return list;
}

function fewest(places, most) {
  var best = '';
  var count = most;
  for (var i = 0; i < places.length; i++) {
    var now = open(places[i]);
    if (now < count) {
      best = places[i];
      count = now;
    }
  }
  return best;
}

// The instance with the fewest open connections; those that refused a moment ago come last. '' ends the connection.
function choose(s) {
  var route;
  try {
    route = JSON.parse(fs.readFileSync(home + '/ports/' + s.variables.server_port));
  } catch (e) {
    return '';
  }
  var most = route.most || Infinity;
  var all = shuffled(route.to);
  var fit = all.filter(function(place) { return !avoided(place); });
  var place = (fit.length >= large && fewest(fit.slice(0, 2), most)) || fewest(fit, most) || fewest(all, most);
  if (place !== '') {
    try {
      fs.writeFileSync(home + '/open/' + place + '/' + s.variables.pid + '-' + s.variables.connection, '');
    } catch (e) {
      // It left the table just now, or the disk is full: then it is not counted.
    }
  }
  return place;
}

// Asked when a connection has ended, as the condition of a log that is never written.
function ended(s) {
  var place = s.variables.paas_instance;
  if (place) {
    try {
      fs.unlinkSync(home + '/open/' + place + '/' + s.variables.pid + '-' + s.variables.connection);
    } catch (e) {
      // As above.
    }
    if (s.variables.status === '502') {
      try {
        fs.writeFileSync(home + '/avoid/' + place, '');
      } catch (e) {
        // Then it is tried again at once.
      }
    }
  }
  return '';
}

export default { choose, ended };
`;
