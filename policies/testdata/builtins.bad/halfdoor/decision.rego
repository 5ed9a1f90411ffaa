package halfdoor

decision := http.send({"method": "GET", "url": "http://192.0.2.1/"}).body
